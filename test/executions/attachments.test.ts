// Images and PDF, with the real CLI: the model gets them, and nothing else of the service has more than their digests.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/platform/hash.js'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { makePdf, makePng } from '../support/media.js'
import { startCli } from '../support/processes.js'
import { openTestService, type TestService } from '../support/service.js'
import { until as waitUntil } from '../support/deadlines.js'

const image = (bytes: Buffer) => ({ mediaType: 'image/png', data: bytes.toString('base64') })
const pdf = (bytes: Buffer) => ({ mediaType: 'application/pdf', data: bytes.toString('base64') })
const described = (mediaType: string, bytes: Buffer) => ({ mediaType, bytes: bytes.length, sha256: sha256(bytes) })
const asBlock = (bytes: Buffer) => `user: image image/png ${sha256(bytes)}`
const asDocument = (bytes: Buffer) => `user: document application/pdf ${sha256(bytes)}`
const held = (file: string): unknown => ({
  tool: 'Bash',
  input: { command: `until [ -e ${file} ]; do perl -e 'select(undef,undef,undef,0.05)'; done`, description: 'waits' },
})

/** What the model was given in the request that has all of these texts. */
function heardWith({ simulator }: TestService, ...texts: string[]): readonly string[] {
  return requestsWith(simulator, texts)[0]?.attached ?? []
}
const requestsWith = (simulator: TestService['simulator'], texts: readonly string[]) =>
  simulator.requests.filter(({ said = [], side }) => !side && texts.every((text) => said.join().includes(text)))

async function listKept({ redis }: TestService): Promise<string[]> {
  const client = new Redis(redis.url.replace('unix://', ''))
  try {
    return (await client.keys('{cc}:attachments:*')).map((key) => key.replace('{cc}:attachments:', ''))
  } finally {
    client.disconnect()
  }
}

const messagesOf = (events: readonly Event[], id: string) =>
  events.flatMap(({ type, data }) => ('messageId' in data && data.messageId === id ? [[type, data]] : []))

void t.test('attachments', async (t) => {
  for (const { name, env } of listClaudeVersions()) await t.test(name, (t) => tryAll(t, env))
})

async function tryAll(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const service = await openTestService(t, {
    workers: 0,
    env: {
      ...env,
      CC_EXECUTOR_MAX_ATTACHMENTS: '3',
      CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES: '20000',
      CC_EXECUTOR_ATTACHMENTS_LIMIT_BYTES: '30000',
      // Longer than a busy machine holds a worker up.
      CC_EXECUTOR_LOCK_SECONDS: '20',
    },
  })
  const { call, submit, finished, until } = service
  const send = async (id: string, body: Record<string, unknown>) =>
    (await call('POST', `/executions/${id}/messages`, { body })).body
  const release = async ({ workspace }: Execution, file: string) =>
    writeFile(join(service.config.workspaceRoot, workspace, file), '')

  await t.test('what is none, too much or half of one is refused, and named', async (t) => {
    const execution = await submit({ prompt: 'x' })
    const whole = makePdf()
    const cases: Array<[attachments: unknown[], status: number, path: string, message: RegExp]> = [
      [[image(Buffer.from('no image'))], 400, 'attachments[0].data', /is none of image\/png.*by its content/],
      [[pdf(makePng())], 400, 'attachments[0].data', /is image\/png by its content, not application\/pdf/],
      [[image(makePng().subarray(0, 50))], 400, 'attachments[0].data', /not whole/],
      [[image(makePng()), pdf(whole.subarray(0, -20))], 400, 'attachments[1].data', /not whole/],
      [[{ mediaType: 'image/png', data: '' }], 400, 'attachments[0].data', /is empty/],
      [[{ mediaType: 'image/png', data: 'ab!' }], 400, 'attachments[0].data', /not valid base64/],
      [[{ mediaType: 'image/png' }], 400, 'attachments[0].data', /either data or path/],
      [[{ ...image(makePng()), path: 'a.png' }], 400, 'attachments[0].path', /not both/],
      [[described('image/png', makePng())], 400, 'attachments[0].sha256', /in answers only/],
      [[{ mediaType: 'image/png', path: '../a.png' }], 400, 'attachments[0].path', /must not leave/],
      [[{ mediaType: 'image/svg+xml', path: 'a.svg' }], 400, 'attachments[0].mediaType', /./],
      [[pdf(makePdf('x'.repeat(20_000)))], 413, 'attachments[0].data', /20000 bytes.*_ATTACHMENT_LIMIT_BYTES/],
      [
        [pdf(makePdf('x'.repeat(19_000))), pdf(makePdf('y'.repeat(19_000)))],
        413,
        'attachments',
        /30000.*_ATTACHMENTS_/,
      ],
      [[1, 2, 3, 4].map(() => image(makePng())), 400, 'attachments', /more than 3 \(CC_EXECUTOR_MAX_ATTACHMENTS/],
      [[], 400, 'attachments', /./],
    ]
    for (const [attachments, status, path, message] of cases) {
      const wanted = { status, body: { errors: [{ path, message }] } }
      t.match(await call('POST', '/execute', { body: { prompt: 'x', attachments } }), wanted, String(message))
      t.match(await call('POST', `/executions/${execution.id}/messages`, { body: { text: 'x', attachments } }), wanted)
    }
    const own = { prompt: 'x', attachments: [image(makePng()), image(makePng())] }
    t.match(await call('POST', '/execute', { body: { tasks: ['x', own], attachments: own.attachments } }), {
      status: 400,
      body: { errors: [{ path: 'tasks[1].attachments', message: /with the 2 of the list/ }] },
    })
    await call('POST', `/executions/${execution.id}/cancel`)
    t.same(await listKept(service), [], 'nothing is kept of what was refused')
  })

  const [first, second, third] = [makePng(10), makePdf('second'), makePng(30)]
  const request = { prompt: scripted({ text: 'seen' }), attachments: [image(first), pdf(second)] }
  const key = { 'idempotency-key': 'with attachments' }
  const execution = await submit(request, key)
  const cancelled = await submit(request)
  const list = await submit({
    tasks: [
      scripted({ text: 'the first task' }),
      { prompt: scripted({ text: 'the other' }), attachments: [image(third)] },
    ],
    attachments: [image(first)],
  })
  await t.test('they wait with the execution, and the same key is the same request', async (t) => {
    t.match(execution.request.attachments, [described('image/png', first), described('application/pdf', second)])
    t.notOk(JSON.stringify(execution).includes(image(first).data))
    t.equal((await submit(request, key)).id, execution.id)
    t.match(await call('POST', '/execute', { body: { ...request, attachments: [image(third)] }, headers: key }), {
      status: 422,
      body: { code: 'IDEMPOTENCY_CONFLICT' },
    })
    await call('POST', `/executions/${cancelled.id}/cancel`)
    t.same((await listKept(service)).sort(), [execution.id, list.id].sort(), 'the cancelled one has let go of them')
  })

  let worker = await service.openWorker()
  await t.test('the model gets them as blocks; the receipt names them by digest', async (t) => {
    const { id } = execution
    t.match(await finished(id), { status: 'succeeded', outcome: { result: 'seen' } })
    t.same(heardWith(service, 'seen'), [asBlock(first), asDocument(second)])
    const log = await call('GET', `/executions/${id}/events`, { headers: { accept: 'application/x-ndjson' } })
    for (const data of [image(first).data, pdf(second).data]) t.notOk(log.text.includes(data))
    const attachments = [described('image/png', first), described('application/pdf', second)]
    t.match((await until(id, 'execution.started')).data, { attachments })
    const receipt = await call('GET', `/executions/${id}/receipt`)
    t.match(receipt.body, { attachments })
    const verify = async (text: string) =>
      (await call('POST', '/receipts/verify', { body: { receipt: text, events: log.text } })).body
    t.match(await verify(receipt.text), { valid: true })
    t.match(await verify(receipt.text.replace(sha256(first), sha256(third))), {
      valid: false,
      mismatches: [{ name: /^attachments/ }],
    })
    const { text } = await call('GET', `/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } })
    t.match(text, `| attachments | image/png, ${first.length} bytes, SHA-256 \`${sha256(first)}\``)

    t.match(await finished(list.id), { status: 'succeeded' })
    t.same(heardWith(service, 'the first task'), [asBlock(first)], 'those of the list')
    t.same(heardWith(service, 'the other'), [asBlock(first), asBlock(third)], 'and those of the task')
    t.same(await listKept(service), [], 'with its end they are gone')
  })

  await t.test('a file of the workspace is what it is when it is read', async (t) => {
    const big = { path: 'big.pdf', content: makePdf('x'.repeat(25_000)).toString() }
    const inline = { path: 'in/a.png', content: third.toString('base64'), encoding: 'base64' }
    const run = async (path: string, mediaType = 'image/png') =>
      finished((await submit({ prompt: `of ${path}`, files: [inline, big], attachments: [{ mediaType, path }] })).id)
    const good = await run('in/a.png')
    t.equal(good.status, 'succeeded')
    t.same(heardWith(service, 'of in/a.png'), [asBlock(third)])
    t.match((await call('GET', `/executions/${good.id}/receipt`)).body, {
      attachments: [{ ...described('image/png', third), path: 'in/a.png' }],
    })
    for (const [path, mediaType, message] of [
      ['missing.png', 'image/png', /attachments\[0\]\.path: "missing\.png" is not a file/],
      ['in', 'image/png', /"in" is not a file/],
      ['in/a.png', 'application/pdf', /is image\/png by its content/],
      ['big.pdf', 'application/pdf', /longer than 20000 bytes \(CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES\)/],
    ] as const) {
      const { id, outcome } = await run(path, mediaType)
      t.match(outcome, { status: 'failed', code: 'WORKSPACE_ERROR', message })
      t.notOk(
        (await call('GET', `/executions/${id}/receipt`)).body.attachments,
        'what was not handed over is not named',
      )
    }
  })

  await t.test('with messages, in their order, also a PDF, which no running turn can take', async (t) => {
    const run = await submit({ prompt: scripted(held('go'), { turn: true }, { text: 'done' }), allowedTools: ['Bash'] })
    await until(run.id, 'tool.started')
    const [picture, paper] = [makePng(40), makePdf('paper')]
    const joined = await send(run.id, { text: 'with a picture', attachments: [image(picture)] })
    t.match(joined, { attachments: [described('image/png', picture)] })
    const none = await send(run.id, { text: 'lost', attachments: [{ mediaType: 'image/png', path: 'none.png' }] })
    const later = await send(run.id, { text: 'with a paper', attachments: [pdf(paper)] })
    const behind = await send(run.id, { text: `behind it ${scripted({ text: 'last' })}` })
    t.match((await until(run.id, 'message.dropped')).data, {
      messageId: none.id,
      reason: 'attachment',
      detail: /"none\.png" is not a file of the workspace/,
    })
    await until(run.id, 'message.accepted', 4)
    await release(run, 'go')
    t.match(await finished(run.id), { status: 'succeeded', outcome: { result: 'last' } })
    t.same(heardWith(service, 'with a picture'), [asBlock(picture)])
    t.same(heardWith(service, 'with a paper', 'behind it'), [asBlock(picture), asDocument(paper)])
    const events = await service.events(run.id)
    t.match(messagesOf(events, later.id), [
      ['message.accepted', { attachments: [described('application/pdf', paper)] }],
      ['message.delivered', { attachments: [described('application/pdf', paper)] }],
    ])
    const { messages } = (await call('GET', `/executions/${run.id}/messages`)).body
    t.match(messages, [
      { id: joined.id, status: 'delivered' },
      { id: none.id, status: 'dropped', reason: 'attachment' },
      { id: later.id, status: 'delivered' },
      { id: behind.id, status: 'delivered' },
    ])
    const receipt = (await call('GET', `/executions/${run.id}/receipt`)).body
    t.match(receipt.messages[0], { attachments: [described('image/png', picture)] })
    const { text } = await call('GET', `/executions/${run.id}/receipt`, { headers: { accept: 'text/markdown' } })
    t.match(text, `with application/pdf, ${paper.length} bytes, SHA-256 \`${sha256(paper)}\``)

    // They go along into what a message becomes.
    const [instead, follow] = [makePng(50), makePng(60)]
    const attached = (name: string, bytes: Buffer) => ({ text: scripted({ text: name }), attachments: [image(bytes)] })
    const dropped = await send(run.id, { ...attached('the other-way', instead), onDropped: 'follow_up' })
    t.match(dropped, { status: 'dropped', attachments: [described('image/png', instead)] })
    const { followUpId } = await send(run.id, { ...attached('one-behind', follow), delivery: 'follow_up' })
    t.match(await finished(dropped.followUpId), { status: 'succeeded' })
    t.match(await finished(followUpId), { status: 'succeeded' })
    t.ok(heardWith(service, 'the other-way').includes(asBlock(instead)))
    t.ok(heardWith(service, 'one-behind').includes(asBlock(follow)))

    const stopped = await submit({ prompt: scripted(held('never')), allowedTools: ['Bash'] })
    await until(stopped.id, 'tool.started')
    const owed = await send(stopped.id, {
      ...attached('owed', makePdf('owed')),
      onDropped: 'follow_up',
      attachments: [pdf(second)],
    })
    await until(stopped.id, 'message.accepted')
    await call('POST', `/executions/${stopped.id}/cancel`)
    await finished(stopped.id)
    const { followUpId: made = '' } = (await until(stopped.id, 'message.dropped')).data
    t.equal((await call('GET', `/executions/${made}`)).status, 200, 'who reads what the log names finds it')
    t.match(await finished(made), { status: 'succeeded', outcome: { result: 'owed' } })
    t.ok(heardWith(service, 'owed').includes(asDocument(second)), `message ${owed.id}`)
    t.same(await listKept(service), [])
  })

  await t.test('a run that is parked has them when it goes on, and those of a message meanwhile', async (t) => {
    const [own, said] = [makePng(70), makePng(80)]
    const touch = { tool: 'Bash', input: { command: 'touch x', description: 'asks' } }
    const { id } = await submit({
      prompt: scripted({ text: 'I begin.' }, touch, { text: 'done' }),
      attachments: [image(own)],
      onPermissionNeeded: 'ask',
      permissionMode: 'default',
      approvalHoldSeconds: 0,
    })
    await until(id, 'execution.parked')
    t.match(await send(id, { text: `said meanwhile ${scripted({ text: 'last' })}`, attachments: [image(said)] }), {
      status: 'accepted',
      attachments: [described('image/png', said)],
    })
    t.same(await listKept(service), [id])
    await worker.close()
    worker = await service.openWorker()
    const { approval } = (await until(id, 'approval.requested')).data
    await call('POST', `/approvals/${approval.id}/decision`, { body: { decision: 'allow' } })
    t.match(await finished(id), { status: 'succeeded', attempt: 2 })
    t.same(heardWith(service, 'said meanwhile'), [asBlock(own), asBlock(said)], 'each once')
    const starts = (await service.events(id)).filter(({ type }) => type === 'execution.started')
    t.match(starts, [{ data: { attachments: [described('image/png', own)] } }, { data: { attachments: undefined } }])
    t.match((await call('GET', `/executions/${id}/receipt`)).body, {
      attachments: [described('image/png', own)],
      messages: [{ attachments: [described('image/png', said)] }],
    })
    t.same(await listKept(service), [])
  })

  if (process.env['CC_EXECUTOR_TEST_ALL'] !== '1') return
  await t.test('after a lost worker: again where nothing was said yet, else as its session has them', async (t) => {
    await worker.close()
    const victim = startCli(t, ['worker'], { ...service.environment, REDIS_URL: service.redis.url })
    await victim.said(/worker \S+: \d+ at once/)
    const [picture, other, said] = [makePng(90), makePng(91), makePng(92)]
    const begin = (name: string, steps: unknown[], bytes: Buffer) =>
      submit({
        prompt: `${name} ${scripted(...steps)}`,
        attachments: [image(bytes)],
        allowedTools: ['Bash'],
        onWorkerLost: 'continue',
      })
    // It has said nothing until it is ended.
    const silent = await begin('the silent one', [{ delayMs: 20_000 }, { text: 'said at last' }], picture)
    const going = await begin('the going one', [{ text: 'I begin.' }, held('gone'), { text: 'done' }], other)
    await until(going.id, 'tool.started')
    await until(silent.id, 'claude.message')
    const { id: message } = await send(going.id, { text: 'said before it died', attachments: [image(said)] })
    await until(going.id, 'message.accepted')
    const home = join(service.directory, 'data/sessions', going.id, 'home/.claude/projects')
    await waitUntil(async () => {
      const [folder = ''] = await readdir(home).catch((): string[] => [])
      const [file = ''] = await readdir(join(home, folder)).catch((): string[] => [])
      return /"tool_use"/.test(await readFile(join(home, folder, file), 'utf8').catch(() => ''))
    }, 'its transcript has the call')
    victim.kill('SIGKILL')
    await victim.ended
    worker = await service.openWorker()
    await release(going, 'gone')
    for (const { id } of [silent, going]) t.match(await finished(id), { status: 'succeeded', attempt: 2 })
    t.same(
      requestsWith(service.simulator, ['the silent one']).map(({ attached }) => attached),
      [[asBlock(picture)], [asBlock(picture)]],
      'handed over again',
    )
    t.same(heardWith(service, 'the going one', 'said before it died'), [asBlock(other), asBlock(said)], 'each once')
    t.match((await call('GET', `/executions/${going.id}/messages`)).body.messages, [
      { id: message, status: 'delivered' },
    ])
    for (const [{ id }, bytes] of [
      [silent, picture],
      [going, other],
    ] as const)
      t.match((await call('GET', `/executions/${id}/receipt`)).body, { attachments: [described('image/png', bytes)] })
    t.same(await listKept(service), [])
  })
}
