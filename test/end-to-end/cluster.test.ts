// Two APIs and two workers, each a process of its own, on one Redis: what dies does not take an execution with it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { sleep } from '../../src/platform/deadline.js'
import { findExecutable, openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import type { Event } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { describe, listMentioning, livingOf, makeFolder, startCli, treeOf, until, type CliProcess } from '../support/processes.js'
import { scripted, testEnvironment } from '../support/service.js'

t.jobs = 2

type Transport = 'websocket' | 'sse' | 'rest'
interface Server extends CliProcess {
  readonly url: string
}

/** A text in so many pieces: many events, over so many milliseconds. */
const written = (pieces: number, delayMs: number): string => scripted({ text: Array.from({ length: pieces }, (_, index) => `word-${index} `).join(''), chunks: pieces, delayMs })

async function openCluster(t: Test, { redisUrl, env = {} }: { redisUrl?: string; env?: NodeJS.ProcessEnv } = {}) {
  const folder = await makeFolder(t)
  const base = testEnvironment(folder)
  const redis = redisUrl === undefined ? await openRedisServer({ directory: join(folder, 'redis'), searchPath: splitPath(base['PATH']), durable: false }) : undefined
  if (redis) t.teardown(() => redis.close())
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const environment: NodeJS.ProcessEnv = { ...base, REDIS_URL: redisUrl ?? redis?.url, CC_EXECUTOR_SIMULATOR_URL: simulator.url, CC_EXECUTOR_CONCURRENCY: '2', ...env }

  async function openApi(): Promise<Server> {
    const cli = startCli(t, ['api'], environment)
    const [, url = ''] = await cli.said(/API on (http\S+),/)
    return { ...cli, url }
  }
  async function openWorker(more: NodeJS.ProcessEnv = {}): Promise<CliProcess> {
    const cli = startCli(t, ['worker'], { ...environment, ...more })
    await cli.said(/worker \S+: \d+ at once/)
    return cli
  }
  const headers = async () => ({ authorization: `Bearer ${(await readFile(join(folder, 'data', 'token'), 'utf8')).trim()}` })
  async function call(server: Server, method: string, path: string, body?: unknown): Promise<{ status: number; body: ReturnType<typeof JSON.parse> }> {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(await headers()), ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: await response.json() }
  }
  async function submit(server: Server, prompt: string, more: Record<string, unknown> = {}): Promise<string> {
    const { status, body } = await call(server, 'POST', '/execute', { prompt, ...more })
    if (status !== 202) throw new Error(`not accepted: ${status} ${JSON.stringify(body)}`)
    return body.id
  }
  const get = async (server: Server, id: string): Promise<Execution> => (await call(server, 'GET', `/executions/${id}`)).body
  async function finished(server: Server, id: string): Promise<Execution> {
    await until(async () => isTerminal((await get(server, id)).status), `${id} ends`)
    return get(server, id)
  }
  /** The whole log, as it is now. */
  async function readLog(server: Server, id: string): Promise<Event[]> {
    const { body } = await call(server, 'GET', `/executions/${id}/events?limit=1000`)
    return body.events
  }

  /** Events after a cursor by one of the transports, until the connection ends, by whoever. */
  async function* follow(server: Server, id: string, after: number, transport: Transport): AsyncGenerator<Event, void, undefined> {
    if (transport === 'rest') {
      for (;;) {
        const { body } = await call(server, 'GET', `/executions/${id}/events?after=${after}&waitSeconds=20&limit=5`)
        for (const event of body.events) yield event
        after = body.nextAfter
        if (body.finished && !body.hasMore) return
      }
    }
    if (transport === 'sse') {
      const abort = new AbortController()
      try {
        const response = await fetch(`${server.url}/executions/${id}/events`, { headers: { ...(await headers()), accept: 'text/event-stream', 'last-event-id': String(after) }, signal: abort.signal })
        let text = ''
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
          text += chunk
          const frames = text.split('\n\n')
          text = frames.pop() ?? ''
          for (const frame of frames) {
            const data = /^data: (.*)$/m.exec(frame)?.[1]
            if (data !== undefined) yield JSON.parse(data)
          }
        }
      } finally {
        abort.abort()
      }
      return
    }
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, { headers: await headers() })
    const inbox: Event[] = []
    let isOver = false
    let wake = (): void => undefined
    socket.on('message', (data: Buffer) => {
      const { method, params } = JSON.parse(data.toString())
      if (method === 'execution.event') inbox.push(params.event)
      if (method === 'subscription.closed') isOver = true
      wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      isOver = true
      wake()
    })
    try {
      await once(socket, 'open')
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params: { executionId: id, after } }))
      for (;;) {
        const event = inbox.shift()
        if (event) yield event
        else if (isOver) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      socket.terminate()
    }
  }

  return { folder, environment, simulator, openApi, openWorker, call, submit, get, finished, readLog, follow }
}

/** No gap, no duplicate, one terminal event, at the end. */
function isWhole(t: Test, events: readonly Event[]): void {
  t.same(events.map(({ seq }) => seq), events.map((_, index) => index + 1), 'from 1, without a gap or a duplicate')
  t.same(events.flatMap(({ type }, index) => (type === 'execution.finished' ? [index] : [])), [events.length - 1], 'one terminal event, the last')
}

const textOf = (events: readonly Event[]): string => events.map((event) => (event.type === 'text.delta' ? (event as Event<'text.delta'>).data.text : '')).join('')

void t.test('any API serves any execution, whatever is cut or restarted meanwhile', async (t) => {
  const cluster = await openCluster(t)
  // All at once: the first one to come makes the token, the other finds it.
  let [first, second] = await Promise.all([cluster.openApi(), cluster.openApi(), cluster.openWorker(), cluster.openWorker()])

  await t.test('submitted on one, watched on the other, cancelled through either', async (t) => {
    const ids = await Promise.all([first, second].map((server) => cluster.submit(server, scripted({ tool: 'Bash', input: { command: 'sleep 250' } }), { allowedTools: ['Bash'] })))
    await Promise.all(ids.map(async (id, index) => {
      const [submitter, watcher] = index === 0 ? [first, second] : [second, first]
      const seen: Event[] = []
      for await (const event of cluster.follow(watcher, id, 0, index === 0 ? 'sse' : 'websocket')) {
        seen.push(event)
        if (event.type === 'tool.started') t.equal((await cluster.call(index === 0 ? submitter : watcher, 'POST', `/executions/${id}/cancel`)).status, 202)
      }
      isWhole(t, seen)
      t.match(await cluster.get(submitter, id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
    }))
  })

  await t.test('a client that is cut off at every seq sees every event once', async (t) => {
    const id = await cluster.submit(first, written(12, 60))
    const seen: Event[] = []
    const transports: Transport[] = ['websocket', 'sse', 'rest']
    for (let turn = 0; seen.at(-1)?.type !== 'execution.finished' && turn < 500; turn += 1) {
      for await (const event of cluster.follow(turn % 2 === 0 ? first : second, id, seen.at(-1)?.seq ?? 0, transports[turn % 3] ?? 'rest')) {
        seen.push(event)
        break
      }
    }
    isWhole(t, seen)
    t.same(seen, await cluster.readLog(first, id))
    t.match(textOf(seen), /^word-0 word-1 .*word-11 $/)
  })

  await t.test('an API that is stopped, and one that is killed, in mid-run: the client goes on elsewhere', async (t) => {
    const id = await cluster.submit(first, written(60, 100))
    const seen: Event[] = []
    async function take(server: Server, transport: Transport, onSixth?: () => void): Promise<void> {
      let count = 0
      try {
        for await (const event of cluster.follow(server, id, seen.at(-1)?.seq ?? 0, transport)) {
          seen.push(event)
          if ((count += 1) === 6) onSixth?.()
        }
      } catch (error) {
        // A stream that breaks off is what happens here.
        if (!onSixth) throw error
      }
    }
    await take(first, 'websocket', () => first.kill('SIGTERM'))
    t.match(await first.ended, { code: 0 }, 'a stopped API ends well though clients are connected')
    t.not(seen.at(-1)?.type, 'execution.finished', 'it was in mid-run')
    ;[first] = await Promise.all([cluster.openApi(), take(second, 'sse', () => second.kill('SIGKILL'))])
    t.not(seen.at(-1)?.type, 'execution.finished', 'it was in mid-run')
    await take(first, 'rest')
    isWhole(t, seen)
    t.match(await cluster.finished(first, id), { status: 'succeeded', attempt: 1 })
    second = await cluster.openApi()
  })
})

void t.test('a worker that is killed in mid-run: failed once, nothing of it alive, the queue goes on', async (t) => {
  const cluster = await openCluster(t, { env: { CC_EXECUTOR_LOCK_SECONDS: '4', CC_EXECUTOR_CONCURRENCY: '1' } })
  const [api, victim] = await Promise.all([cluster.openApi(), cluster.openWorker()])
  const tag = `300.${process.pid}${Math.floor(Math.random() * 1e6)}`
  const command = `setsid nohup sleep ${tag}1 >/dev/null 2>&1 & ( (sleep ${tag}2 >/dev/null 2>&1 &) & ) ; env -i setsid sleep ${tag}3 </dev/null >/dev/null 2>&1 & sleep ${tag}4`
  const id = await cluster.submit(api, scripted({ tool: 'Bash', input: { command } }), { allowedTools: ['Bash'] })
  await until(() => [1, 2, 3, 4].every((which) => listMentioning(`sleep ${tag}${which}`, 'cmdline').length > 0), 'all four are there')
  const queued = await cluster.submit(api, 'Say hello')
  const everything = treeOf(victim.pid)
  t.equal(everything.length > 6, true, 'the tree was seen')
  const other = await Promise.all([cluster.openWorker(), cluster.openApi()])
  victim.kill('SIGKILL')
  const lost = await cluster.finished(api, id)
  t.match(lost, { status: 'failed', attempt: 1, outcome: { code: 'WORKER_LOST', message: /died or lost its connection/ } })
  t.same(describe([...livingOf(everything), ...listMentioning(tag, 'cmdline')]), [], 'no descendant is alive')
  t.match(await cluster.finished(api, queued), { status: 'succeeded' })
  // Two APIs and a worker look for abandoned executions.
  isWhole(t, await cluster.readLog(api, id))

  await t.test('a worker that is stopped for longer than its lease writes nothing after the end', async (t) => {
    const [worker] = other
    const id = await cluster.submit(api, written(400, 100))
    await until(async () => (await cluster.get(api, id)).lastSeq > 6, 'it runs')
    const run = treeOf(worker.pid).filter(({ pid }) => pid !== worker.pid)
    worker.kill('SIGSTOP')
    t.match(await cluster.finished(api, id), { status: 'failed', outcome: { code: 'WORKER_LOST' } })
    t.same(describe(livingOf(run).filter(({ state }) => state !== 'Z')), [], 'the run ended with the heartbeats')
    const log = await cluster.readLog(api, id)
    isWhole(t, log)
    worker.kill('SIGCONT')
    // It has its next execution from the queue: by then it has dealt with the old one.
    t.match(await cluster.finished(api, await cluster.submit(api, 'Say hello')), { status: 'succeeded' })
    await sleep(1_000)
    t.same(await cluster.readLog(api, id), log)
  })
})

void t.test('a worker that is killed between claim and start: the execution is queued again and runs once', async (t) => {
  const cluster = await openCluster(t, { env: { CC_EXECUTOR_LOCK_SECONDS: '3' } })
  const bwrap = await findExecutable(['bwrap'], splitPath(cluster.environment['PATH']))
  if (bwrap === undefined) return t.comment('no bwrap here, so nothing can be held up')
  const [bin, flag] = [join(cluster.folder, 'bin'), join(cluster.folder, 'hold')]
  await mkdir(bin)
  await writeFile(join(bin, 'bwrap'), `#!/bin/sh\n[ -e ${flag} ] && { touch ${flag}.reached; sleep 8; }\nexec ${bwrap} "$@"\n`)
  await chmod(join(bin, 'bwrap'), 0o755)
  const PATH = `${bin}:${cluster.environment['PATH'] ?? ''}`
  const [api, victim] = await Promise.all([cluster.openApi(), cluster.openWorker({ PATH })])
  await writeFile(flag, '')
  const id = await cluster.submit(api, 'Say hello')
  await until(() => readFile(`${flag}.reached`).then(() => true, () => false), 'the worker starts the run')
  t.match(await cluster.get(api, id), { status: 'queued' })
  const everything = treeOf(victim.pid)
  victim.kill('SIGKILL')
  await rm(flag)
  await cluster.openWorker()
  t.match(await cluster.finished(api, id), { status: 'succeeded', attempt: 1 })
  const log = await cluster.readLog(api, id)
  isWhole(t, log)
  t.equal(log.filter(({ type }) => type === 'execution.started').length, 1)
  await until(() => livingOf(everything).length === 0, 'what was held up ends, too')
})

void t.test('a Redis that is killed in mid-run and comes back: the run goes on, its log is whole', async (t) => {
  const folder = await makeFolder(t)
  const socket = join(folder, 'redis.sock')
  const binary = await findExecutable(['redis-server', 'valkey-server'], splitPath(testEnvironment(folder)['PATH']))
  async function openRedis() {
    const server = spawn(binary ?? 'redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'yes'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(server, 'exit')
    t.teardown(async () => {
      server.kill('SIGKILL')
      await exited
    })
    let log = ''
    server.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()))
    await until(() => log.includes('eady to accept connections'), 'Redis is ready')
    return { kill: () => (server.kill('SIGKILL'), exited) }
  }
  const redis = await openRedis()
  const cluster = await openCluster(t, { redisUrl: `unix://${socket}` })
  const [api] = await Promise.all([cluster.openApi(), cluster.openWorker()])
  const id = await cluster.submit(api, written(40, 150))
  const seen: Event[] = []
  let restarted: Promise<unknown> | undefined
  for await (const event of cluster.follow(api, id, 0, 'websocket')) {
    seen.push(event)
    if (seen.length === 10) {
      restarted = (async () => {
        await redis.kill()
        const { status } = await cluster.call(api, 'POST', '/execute', { prompt: 'x' })
        t.equal(status, 503, 'nothing is accepted meanwhile')
        await openRedis()
      })()
    }
  }
  await restarted
  isWhole(t, seen)
  t.match(textOf(seen), /^word-0 .*word-39 $/)
  t.match(await cluster.finished(api, id), { status: 'succeeded', attempt: 1 })
  t.same(await cluster.readLog(api, id), seen)
  t.match(await cluster.finished(api, await cluster.submit(api, 'Say hello')), { status: 'succeeded' }, 'and the next one runs')
})

void t.test('a worker that is stopped lets short runs finish and concludes long ones honestly, exit code 0', async (t) => {
  const cluster = await openCluster(t)
  const [api, patient, hasty] = await Promise.all([cluster.openApi(), cluster.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '40' }), cluster.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '0' })])
  // One run on each: which worker takes which is not known before.
  const ids = await Promise.all([1, 2, 3, 4].map(() => cluster.submit(api, written(50, 100))))
  await until(async () => (await Promise.all(ids.map((id) => cluster.get(api, id)))).every(({ status }) => status === 'running'), 'all run')
  const logs = await Promise.all(ids.map((id) => cluster.readLog(api, id)))
  const isOf = (worker: CliProcess) => ids.filter((_, index) => logs[index]?.some((event) => event.type === 'execution.started' && (event as Event<'execution.started'>).data.workerId.includes(`-${worker.pid}-`)))
  const trees = [patient, hasty].flatMap(({ pid }) => treeOf(pid))
  patient.kill('SIGTERM')
  hasty.kill('SIGTERM')
  const queued = await cluster.submit(api, 'Say hello')
  for (const worker of [patient, hasty]) {
    t.match(await worker.ended, { code: 0, signal: null })
    t.equal(isOf(worker).length, 2)
    for (const id of isOf(worker)) {
      t.match(await cluster.get(api, id), worker === patient ? { status: 'succeeded' } : { status: 'failed', outcome: { code: 'WORKER_LOST', message: /^The worker was stopped before .+\.$/ } })
      isWhole(t, await cluster.readLog(api, id))
    }
  }
  t.same(describe(livingOf(trees)), [], 'nothing of them is left')
  t.match(await cluster.get(api, queued), { status: 'queued' }, 'they took nothing new')
  await cluster.openWorker()
  t.match(await cluster.finished(api, queued), { status: 'succeeded' })
})
