// Workers and APIs are stopped one after the other while work goes on, as a deployment does it: nothing is lost,
// nothing is done twice.
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { isWhole, openCluster, readSse, type Server } from '../support/cluster.js'
import { lasting, scripted } from '../support/environment.js'
import { FIXTURES, SCRIPTED_CLI } from '../support/paths.js'
import { describe, listMentioning, livingOf, makeFolder, treeOf } from '../support/processes.js'
import { repeat, until } from '../support/deadlines.js'

/** Each round restarts every process once. */
const ROUNDS = 6
const skip =
  process.env['CC_EXECUTOR_TEST_ALL'] === '1'
    ? false
    : 'only in npm run test:all; the fault battery stops and kills the same processes'
const PAUSE_BETWEEN_SUBMISSIONS_MS = 300

/** Asks one API after the other until one answers: a client that is sent away, or cut off, goes elsewhere. */
async function ask(apis: readonly Server[], path: string, init: RequestInit = {}): Promise<Response> {
  for (let turn = 0; turn < 200; turn += 1) {
    const api = apis[turn % apis.length]
    const response = await fetch(`${api?.url ?? ''}${path}`, init).catch(() => undefined)
    if (response && response.status < 500) return response
    await response?.body?.cancel()
    await sleep(100)
  }
  throw new Error(`nobody answers ${path}`)
}

const get = async (apis: readonly Server[], id: string): Promise<Execution> =>
  (await (await ask(apis, `/executions/${id}`)).json()) as Execution

async function submit(apis: readonly Server[], body: Record<string, unknown>, key: string): Promise<string> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify(body),
  }
  return repeat(async () => {
    const response = await ask(apis, '/execute', init)
    // An answer that was cut off: the same key gives the same execution.
    const answer = (await response.json().catch(() => undefined)) as Execution | undefined
    return answer?.id
  }, 'it is accepted')
}

/** Everything of one execution over SSE, from the last seq on wherever the stream breaks off. */
async function watch(apis: readonly Server[], id: string): Promise<Event[]> {
  const seen: Event[] = []
  return repeat(async () => {
    const response = await ask(apis, `/executions/${id}/events`, {
      headers: { accept: 'text/event-stream', 'last-event-id': String(seen.at(-1)?.seq ?? 0) },
    })
    try {
      for await (const event of readSse(response)) seen.push(event)
    } catch {
      // Cut off with its API; the next one goes on from the last seq.
    }
    return seen.at(-1)?.type === 'execution.finished' ? seen : undefined
  }, `${id} ends`)
}

void t.test('two workers and two APIs are restarted one after the other under load', { skip }, async (t) => {
  const outside = await makeFolder(t)
  // It leaves a mark in the workspace for each of its starts.
  const cli = join(outside, 'claude')
  await writeFile(
    cli,
    `#!/bin/sh\ncase " $* " in *" --version "*) ;; *) echo started >> starts ;; esac\nexec ${process.execPath} ${SCRIPTED_CLI} "$@"\n`,
  )
  await chmod(cli, 0o755)
  const cluster = await openCluster(t, {
    env: {
      CC_EXECUTOR_AUTH: 'open',
      CC_EXECUTOR_CLAUDE_BIN: cli,
      // What lets a run go on lies there.
      CC_EXECUTOR_SANDBOX_READ: [FIXTURES, outside].join(','),
      CC_EXECUTOR_DRAIN_SECONDS: '30',
      CC_EXECUTOR_CONCURRENCY: '3',
    },
  })
  const [firstApi, secondApi, firstWorker, secondWorker] = await Promise.all([
    cluster.openApi(),
    cluster.openApi(),
    cluster.openWorker(),
    cluster.openWorker(),
  ])
  const apis = [firstApi, secondApi]
  const workers = [firstWorker, secondWorker]
  let isOver = false
  const watched: Array<Promise<{ id: string; events: Event[] }>> = []

  async function load(): Promise<void> {
    for (let count = 0; !isOver; count += 1) {
      const go = join(outside, `go-${count}`)
      const line = (text: string) => ({
        line: { type: 'assistant', message: { id: `m${count}`, content: [{ type: 'text', text }] } },
      })
      const steps = [
        { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } },
        line('begun'),
        { file: go },
        { line: { type: 'result', subtype: 'success', is_error: false, result: `done ${count}` } },
      ]
      const id = await submit(apis, { prompt: JSON.stringify(steps) }, `key-${count}`)
      watched.push(watch(apis, id).then((events) => ({ id, events })))
      // Some are in mid-run whenever a worker is told to stop.
      watched.push(
        sleep(800)
          .then(() => writeFile(go, ''))
          .then(() => ({ id, events: [] })),
      )
      await sleep(PAUSE_BETWEEN_SUBMISSIONS_MS)
    }
  }
  const loading = load()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const index of [0, 1]) {
      const [worker, api] = [workers[index], apis[index]]
      await until(
        async () => ((await (await ask(apis, '/queue')).json()) as { running: number }).running > 1,
        'work goes on',
      )
      worker?.kill('SIGTERM')
      t.match(await worker?.ended, { code: 0, signal: null }, 'a worker ends well')
      workers[index] = await cluster.openWorker()
      api?.kill('SIGTERM')
      t.match(await api?.ended, { code: 0, signal: null }, 'an API ends well')
      apis[index] = await cluster.openApi()
    }
  }
  isOver = true
  await loading
  const logs = (await Promise.all(watched)).filter(({ events }) => events.length > 0)
  t.ok(logs.length > 10, `${logs.length} executions were submitted meanwhile`)
  t.equal(new Set(logs.map(({ id }) => id)).size, logs.length, 'each submission is one execution')
  const usedWorkers = new Set<string>()
  for (const { id, events } of logs) {
    isWhole(t, events)
    const execution = await get(apis, id)
    t.match(execution, { status: 'succeeded', attempt: 1, outcome: { result: /^done/ } })
    usedWorkers.add(execution.workerId ?? '')
    t.equal(
      await readFile(join(cluster.folder, 'data/workspaces', id, 'starts'), 'utf8'),
      'started\n',
      'it was started once',
    )
  }
  t.ok(usedWorkers.size >= 3, `${usedWorkers.size} workers took part`)
})

void t.test('a worker that is stopped hands over what can go on, and ends the rest honestly', { skip }, async (t) => {
  const cluster = await openCluster(t, {
    env: { CC_EXECUTOR_AUTH: 'open', CC_EXECUTOR_DRAIN_SECONDS: '1', CC_EXECUTOR_CONCURRENCY: '4' },
  })
  const [api, victim] = await Promise.all([cluster.openApi(), cluster.openWorker()])
  const apis = [api]
  const tag = `${process.pid}${Math.floor(Math.random() * 1e6)}`
  const steps = [
    { text: 'I begin.' },
    { tool: 'Bash', input: { command: 'echo made >> marks' } },
    { text: 'And on.' },
    { tool: 'Bash', input: { command: lasting(`300.${tag}`) } },
  ]
  const work = (more: Record<string, unknown>, name: string) =>
    submit(apis, { prompt: scripted(...steps), allowedTools: ['Bash'], ...more }, name)
  const [handed, ended, short] = await Promise.all([
    work({ onWorkerLost: 'continue', maxAttempts: 2 }, 'handed'),
    work({}, 'ended'),
    submit(apis, { prompt: scripted({ delayMs: 300 }, { text: 'in time' }) }, 'short'),
  ])
  await until(() => listMentioning(lasting(`300.${tag}`), 'cmdline').length >= 2, 'both tools run')
  await until(async () => isTerminal((await get(apis, short)).status), 'the short one is done')
  const everything = treeOf(victim.pid)
  const heirs = [await cluster.openWorker()]
  victim.kill('SIGTERM')
  const listWorkers = async () =>
    ((await (await ask(apis, '/queue')).json()) as { workers: Array<{ draining: boolean }> }).workers
  await until(
    async () => (await listWorkers()).filter(({ draining }) => !draining).length === 1,
    'the stopping one says that it takes nothing more',
  )
  const later = await submit(apis, { prompt: 'Say hello' }, 'later')
  t.match(await victim.ended, { code: 0, signal: null })
  t.same(
    describe([...livingOf(everything), ...listMentioning(lasting(`300.${tag}`), 'cmdline')]),
    [],
    'nothing of it is alive',
  )
  t.match(await get(apis, ended), {
    status: 'failed',
    attempt: 1,
    outcome: { code: 'WORKER_LOST', message: /^The worker was stopped before/ },
  })
  const log = await watch(apis, handed)
  isWhole(t, log)
  t.match(await get(apis, handed), { status: 'succeeded', attempt: 2, workerId: new RegExp(`-${heirs[0]?.pid}-`) })
  t.match(log.find(({ type }) => type === 'execution.retrying')?.data, { reason: 'WORKER_STOPPING', nextAttempt: 2 })
  const starts = log
    .filter(({ type }) => type === 'execution.started')
    .map(({ data }) => data as Event<'execution.started'>['data'])
  t.match(starts, [{ attempt: 1 }, { attempt: 2, resumed: true, sessionId: starts[0]?.sessionId }])
  t.equal(
    await readFile(join(cluster.folder, 'data/workspaces', handed, 'marks'), 'utf8'),
    'made\n',
    'nothing that had finished is done again',
  )
  t.ok(
    cluster.simulator.requests.some(({ prompt = '' }) => prompt.includes('stopped for maintenance')),
    'the model is told',
  )
  await watch(apis, later)
  t.match(
    await get(apis, later),
    { status: 'succeeded', workerId: new RegExp(`-${heirs[0]?.pid}-`) },
    'a stopping worker takes nothing new',
  )
})
