// Messages to a run, with the real CLI: each reaches the model once, or is told as dropped, whenever it comes.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { Message } from '../../src/protocol/messages.js'
import { sha256 } from '../../src/platform/hash.js'
import { isWhole } from '../support/cluster.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { openTestService, type Answer, type TestService } from '../support/service.js'

/** A command of Bash that goes on until the test writes the file into the workspace. */
const held = (file: string): unknown => ({
  tool: 'Bash',
  input: { command: `until [ -e ${file} ]; do perl -e 'select(undef,undef,undef,0.05)'; done`, description: 'waits' },
})
const TURN = { turn: true }
const ALL = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined

interface Scene {
  readonly service: TestService
  send(id: string, body: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>
  list(id: string): Promise<Message[]>
  release(execution: Pick<Execution, 'workspace'>, file?: string): Promise<void>
  /** The run is in its command. */
  begin(steps: readonly unknown[], more?: Record<string, unknown>): Promise<Execution>
  /** Every text that the model was given. */
  heard(): string
}

function toScene(service: TestService): Scene {
  const { call } = service
  return {
    service,
    send: (id, body, headers = {}) => call('POST', `/executions/${id}/messages`, { body, headers }),
    list: async (id) => (await call('GET', `/executions/${id}/messages`)).body.messages,
    release: ({ workspace }, file = 'go') => writeFile(join(service.config.workspaceRoot, workspace, file), ''),
    async begin(steps, more = {}) {
      const execution = await service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], ...more })
      await service.until(execution.id, 'tool.started')
      return execution
    },
    heard: () => service.simulator.requests.flatMap(({ said = [] }) => said).join('\n'),
  }
}

const typesOf = (events: readonly Event[], ...only: string[]) =>
  events.map(({ type }) => type).filter((type) => only.includes(type))
const resultsOf = (events: readonly Event[]) =>
  events.filter((event) => event.type === 'claude.message' && JSON.stringify(event.data).includes('"type":"result"'))

/** What the CLI has written of the session. */
async function readTranscript({ config }: TestService, id: string): Promise<string> {
  const folder = join(config.dataDir, 'sessions', id)
  const files = await readdir(folder, { recursive: true })
  const texts = files.filter((file) => file.endsWith('.jsonl')).map((file) => readFile(join(folder, file), 'utf8'))
  return (await Promise.all(texts)).join('\n')
}

/** Each has one end, the log tells of it in order, and of nothing else. */
async function isSettled(t: Test, { service, list }: Scene, id: string): Promise<Message[]> {
  const messages = await list(id)
  const events = await service.events(id)
  isWhole(t, events)
  for (const message of messages) {
    const told = events.filter(({ data }) => 'messageId' in data && data.messageId === message.id)
    t.match(message.status, /^(?:delivered|dropped)$/, 'nothing is left open')
    // One that came after the end is in no log.
    if (told.length > 0 || message.reason !== 'ended')
      t.same(typesOf(told, 'message.accepted', 'message.delivered', 'message.dropped'), [
        'message.accepted',
        `message.${message.status}`,
      ])
  }
  return messages
}

void t.test('messages to a run', async (t) => {
  for (const { name, env } of listClaudeVersions()) await t.test(name, (t) => tryAll(t, env))
})

async function tryAll(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  // Nothing is taken until there is a worker.
  const service = await openTestService(t, { workers: 0, env: { ...env, CC_EXECUTOR_MAX_OPEN_MESSAGES: '100' } })
  const scene = toScene(service)
  const { send, list, begin, release, heard } = scene
  const { submit, finished, call, until } = service

  const queued = await submit({ prompt: scripted(held('go'), TURN, { text: 'done' }), allowedTools: ['Bash'] })
  const texts = Array.from({ length: 100 }, (_, index) => `message number ${index} of a hundred`)
  const first = await send(queued.id, { text: texts[0] }, { 'idempotency-key': 'first' })
  await t.test('while it is queued, and what is refused', async (t) => {
    t.match(first, { status: 202, body: { executionId: queued.id, delivery: 'steer', status: 'accepted' } })
    t.equal(first.headers.get('location'), `/executions/${queued.id}/messages`)
    t.match((await service.events(queued.id)).at(-1), {
      type: 'message.accepted',
      data: { messageId: first.body.id, text: texts[0], sha256: sha256(texts[0] ?? ''), by: first.body.by },
    })
    const again = await send(queued.id, { text: texts[0] }, { 'idempotency-key': 'first' })
    t.match(again, { status: 200, body: { id: first.body.id } }, 'the same key is the same message')
    t.equal(again.headers.get('idempotent-replayed'), 'true')
    t.match(await send(queued.id, { text: 'another' }, { 'idempotency-key': 'first' }), {
      status: 422,
      body: { code: 'IDEMPOTENCY_CONFLICT' },
    })
    const tasks = await submit({ tasks: ['one'] })
    const [task] = (await call('GET', `/executions/${tasks.id}`)).body.tasks
    for (const delivery of ['steer', 'follow_up'])
      t.match(await send(tasks.id, { text: 'x', delivery }), {
        status: 409,
        body: { code: 'NOT_RUNNING', detail: new RegExp(task.id) },
      })
    t.match(await send(task.id, { text: 'x' }), { status: 202 })
    await call('POST', `/executions/${tasks.id}/cancel`)
    t.match(await list(task.id), [{ status: 'dropped', reason: 'cancelled' }])
    t.match(await send(queued.id, { text: 'x'.repeat(256 * 1024 + 1) }), {
      status: 413,
      body: { code: 'PAYLOAD_TOO_LARGE', errors: [{ path: 'text', message: /CC_EXECUTOR_MESSAGE_LIMIT_BYTES/ }] },
    })
    for (const text of ['', ' ', 'a\0b', 7])
      t.match(await send(queued.id, { text }), { status: 400, body: { errors: [{ path: 'text' }] } })
    t.match(await send(queued.id, { text: 'x', to: 'y' }), { status: 400, body: { errors: [{ path: 'to' }] } })
    t.match(await send(queued.id, { text: 'x', delivery: 'follow_up', onDropped: 'follow_up' }), {
      status: 400,
      body: { errors: [{ path: 'onDropped' }] },
    })
  })

  for (const text of texts.slice(1, 50)) await send(queued.id, { text })
  const limited = await submit({
    prompt: scripted(held('never'), TURN, { text: 'done' }),
    allowedTools: ['Bash'],
    timeoutSeconds: 5,
  })
  await send(limited.id, { text: scripted({ text: 'never said' }) })
  await service.openWorker()
  await t.test('a hundred in order, each once, at most so many open', async (t) => {
    await until(queued.id, 'tool.started')
    for (const text of texts.slice(50)) t.equal((await send(queued.id, { text })).status, 202)
    t.match(await send(queued.id, { text: 'one more' }), {
      status: 429,
      body: { code: 'RATE_LIMITED', detail: /100 messages.*CC_EXECUTOR_MAX_OPEN_MESSAGES/ },
    })
    await release(queued)
    t.match(await finished(queued.id), { status: 'succeeded' })
    const hundred = await isSettled(t, scene, queued.id)
    t.same(
      hundred.map(({ text, status }) => [text, status]),
      texts.map((text) => [text, 'delivered']),
    )
    const events = await service.events(queued.id)
    t.same(
      events.flatMap(({ type, data }) => (type === 'message.delivered' && 'messageId' in data ? data.messageId : [])),
      hundred.map(({ id }) => id),
    )
    const transcript = await readTranscript(service, queued.id)
    const twice = hundred.filter(({ id }) => transcript.split(new RegExp(`"(?:source_)?uuid":"${id}"`)).length !== 2)
    t.same(twice, [], 'once before the model')
    t.notOk(
      events.some((event) => JSON.stringify(event).includes('isReplay')),
      'what the CLI repeats is no event',
    )
  })

  await t.test('behind a tool call, also in a pause, it joins the turn; the receipt names it', async (t) => {
    const execution = await begin([held('go'), TURN, { text: 'done' }])
    const { id, workspace } = execution
    const { body } = await send(id, { text: '@file and /compact stay text' })
    await call('POST', `/executions/${id}/pause`)
    await until(id, 'execution.paused')
    await send(id, { text: 'in a pause' })
    await until(id, 'message.accepted', 2)
    await release({ workspace })
    await call('POST', `/executions/${id}/resume`)
    t.match(await finished(id), { status: 'succeeded', outcome: { result: 'done' } })
    const log = await service.events(id)
    t.equal(resultsOf(log).length, 1, 'one turn')
    t.same(typesOf(log, 'message.accepted', 'tool.finished', 'message.delivered', 'execution.finished'), [
      'message.accepted',
      'message.accepted',
      'tool.finished',
      'message.delivered',
      'message.delivered',
      'execution.finished',
    ])
    t.match(heard(), /The user sent a new message while you were working:\n@file and \/compact stay text/)
    t.match(await isSettled(t, scene, id), [{ id: body.id, status: 'delivered' }, { status: 'delivered' }])

    const late = { text: 'too late' }
    t.match(
      await send(id, late, { 'idempotency-key': 'late' }),
      { status: 202, body: { status: 'dropped', reason: 'ended' } },
      'a finished one drops it',
    )
    t.match(await send(id, late, { 'idempotency-key': 'late' }), { status: 200 })
    t.equal((await list(id)).length, 3)
    t.same(await service.events(id), log, 'and its log stays as it is')
    const receipt = await call('GET', `/executions/${id}/receipt`)
    const named = { id: body.id, by: body.by, sha256: sha256('@file and /compact stay text'), deliveredAt: String }
    t.match(receipt.body.messages, [named, {}])
    const { text: events } = await call('GET', `/executions/${id}/events`, {
      headers: { accept: 'application/x-ndjson' },
    })
    const verify = async (text: string) =>
      (await call('POST', '/receipts/verify', { body: { receipt: text, events } })).body
    t.equal((await verify(receipt.text)).valid, true)
    for (const [from, to] of [
      [named.sha256, sha256('another')],
      [`"by":"${body.by}"`, '"by":"somebody"'],
    ] as const)
      t.match(await verify(receipt.text.replace(from, to)), { valid: false, mismatches: [{ name: /^messages/ }] })
    const { text } = await call('GET', `/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } })
    t.match(text, `| \`${body.by}\` | SHA-256 ${named.sha256} | delivered `)
    await call('DELETE', `/executions/${id}`)
    t.match(await send(id, { text: 'gone' }), { status: 404 })
  })

  await t.test('while text streams, at the moment of the result, and at a limit', async (t) => {
    const streams = { text: 'a few words of an answer', chunks: 6, delayMs: 60 }
    const runs = await Promise.all(
      (ALL ? [0, 240, 300, 330, 360, 420] : [0, 330]).map(async (waitMs) => {
        const execution = await submit({ prompt: scripted(streams) })
        await until(execution.id, 'text.delta')
        // Where in the answer, or behind it, that is does not matter: each has its end.
        await sleep(waitMs)
        await send(execution.id, { text: `behind it${scripted({ text: 'the second turn' })}` })
        return finished(execution.id)
      }),
    )
    for (const execution of runs) {
      const [message] = await isSettled(t, scene, execution.id)
      const result = message?.status === 'delivered' ? 'the second turn' : streams.text
      t.match(execution, { status: 'succeeded', outcome: { result } })
    }
    t.match(await finished(limited.id), { status: 'timed_out' })
    t.match(await isSettled(t, scene, limited.id), [{ status: 'dropped', reason: 'timed_out' }])
  })

  await t.test('follow-ups wait for their turn and inherit', async (t) => {
    const follow = async (id: string, text: string, headers = {}): Promise<Message> =>
      (await send(id, { text: scripted({ text }), delivery: 'follow_up' }, headers)).body
    const more = { metadata: { team: 'docs' }, timeoutSeconds: 400, queueTimeoutSeconds: 300, maxTurns: 7 }
    // It fails, which does not keep the next ones from going on.
    const before = await begin([held('go'), TURN, { text: 'the first answer' }], {
      ...more,
      verify: { files: ['missing.md'] },
    })
    const chain: Execution[] = []
    for (let count = 1; count <= (ALL ? 20 : 2); count += 1) {
      const headers = { 'idempotency-key': `follow-${count}` }
      const message = await follow(before.id, `answer of follow-up ${count}`, headers)
      t.match(message, { delivery: 'follow_up', status: 'accepted' })
      t.match(await follow(before.id, `answer of follow-up ${count}`, headers), { followUpId: message.followUpId })
      chain.push((await call('GET', `/executions/${message.followUpId}`)).body)
    }
    t.match(chain[0], {
      status: 'queued',
      waitingFor: 'session',
      workspace: before.workspace,
      metadata: more.metadata,
      request: { allowedTools: ['Bash'], timeoutSeconds: 400, maxTurns: 7, session: { resume: before.id } },
    })
    t.notOk(chain[0]?.request.verify)
    t.match(await call('POST', '/execute', { body: { prompt: 'x', session: { resume: before.id } } }), {
      status: 409,
      body: { code: 'SESSION_BUSY' },
    })
    await until(before.id, 'message.accepted', chain.length)

    const cancelled = await begin([held('never')])
    const orphans = [await follow(cancelled.id, 'never said'), await follow(cancelled.id, 'never said')]
    const dropped = await send(cancelled.id, { text: scripted({ text: 'instead' }), onDropped: 'follow_up' })
    t.match(dropped.body, { status: 'accepted', followUpId: undefined })
    await until(cancelled.id, 'message.accepted', 3)
    await call('POST', `/executions/${cancelled.id}/cancel`)

    await release(before)
    const failed = await finished(before.id)
    t.match(failed, { status: 'failed', outcome: { code: 'VERIFICATION_FAILED' } })
    for (const [index, { id }] of chain.entries())
      t.match(await finished(id), {
        status: 'succeeded',
        sessionId: failed.sessionId,
        resumedFrom: (chain[index - 1] ?? before).id,
        outcome: { result: `answer of follow-up ${index + 1}` },
      })
    t.ok((await list(before.id)).every(({ status, deliveredAt }) => status === 'delivered' && deliveredAt))
    const last = service.simulator.requests.findLast(({ said }) => said?.join().includes('answer of follow-up 1'))
    t.match(last?.said?.join('\n'), 'assistant: the first answer', 'it is one conversation')

    for (const { followUpId = '' } of orphans)
      t.match(await finished(followUpId), { status: 'cancelled', outcome: { code: 'CANCELLED', message: /follows/ } })
    const [, , instead] = await list(cancelled.id)
    t.match(instead, { id: dropped.body.id, status: 'dropped', reason: 'cancelled' })
    t.match((await until(cancelled.id, 'message.dropped')).data, { followUpId: instead?.followUpId })
    t.match(await finished(instead?.followUpId ?? ''), { status: 'succeeded', outcome: { result: 'instead' } })
    t.notMatch(heard(), /assistant: never said/)
    if (!ALL) return
    const late = await follow(before.id, 'late')
    t.match(await finished(late.followUpId ?? ''), { status: 'succeeded', resumedFrom: chain.at(-1)?.id })
    const { body: atOnce } = await send(cancelled.id, { text: scripted({ text: 'at once' }), onDropped: 'follow_up' })
    t.match(atOnce, { status: 'dropped', reason: 'ended' })
    t.match(await finished(atOnce.followUpId), { status: 'succeeded', outcome: { result: 'at once' } })
  })
}
