// The service of a checkout as its users start it, on a Redis of its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../src/platform/abort-signals.js'
import { openRedisServer, type RedisServer } from '../../src/platform/redis-server.js'
import { commandLineOf, treeOf, tryKill } from '../support/processes.js'
import type { Bench } from './bench-context.js'
import type { Checkout } from './checkout.js'
import { endWithUs, searchPath } from './programs.js'
import { until } from '../support/deadlines.js'

const GIB = 1024 ** 3
const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 20_000
/** One name for all of its APIs. */
export const BENCH_HOST = 'bench:80'

export interface ServiceOptions {
  /** One of each: as `start` runs them. Otherwise so many processes of each, started one by one. */
  readonly apis?: number
  readonly workers?: number
  readonly env?: NodeJS.ProcessEnv
  /** A program in front of all of it. */
  readonly wrapper?: readonly string[]
}

export interface Service {
  readonly checkout: Checkout
  readonly folder: string
  readonly token: string
  readonly ports: readonly number[]
  readonly port: number
  readonly redis: RedisServer
  readonly redisPid: number
  readonly apiPids: readonly number[]
  readonly workerPids: readonly number[]
  readonly env: NodeJS.ProcessEnv
  /** A further process of it. */
  add(part: 'api' | 'worker', env?: NodeJS.ProcessEnv): Promise<void>
  /** Ends those that `add` has started. */
  stopWorkers(signal?: NodeJS.Signals): Promise<void>
  close(): Promise<void>
}

/** What the service's processes see: nothing of ours that would make one machine differ from another. */
export function serviceEnvironment(folder: string): NodeJS.ProcessEnv {
  return {
    PATH: [...searchPath, join(process.env['HOME'] ?? '/root', '.cache/cc-executor/bin')].join(':'),
    HOME: process.env['HOME'],
    CC_EXECUTOR_DATA_DIR: join(folder, 'data'),
    CC_EXECUTOR_HOST: '127.0.0.1',
    CC_EXECUTOR_PORT: '0',
    CC_EXECUTOR_ALLOWED_HOSTS: BENCH_HOST,
    CC_EXECUTOR_DRAIN_SECONDS: '0',
    // A part of the bench of its own.
    CC_EXECUTOR_STANDBY: '0',
    CC_EXECUTOR_MAX_QUEUE: '10000000',
    CC_EXECUTOR_RETENTION_COUNT: '10000000',
    CC_EXECUTOR_RETENTION_BYTES: String(64 * GIB),
    CC_EXECUTOR_OUTPUT_LIMIT_BYTES: String(2 * GIB),
    CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES: String(8 * GIB),
    LOG_LEVEL: 'error',
  }
}

interface Started {
  readonly child: ChildProcess
  readonly said: RegExpExecArray
}

async function startProcess(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  pattern: RegExp,
  children: Set<ChildProcess>,
): Promise<Started> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  endWithUs(child)
  let text = ''
  const collect = (chunk: string): void => void (text = (text + chunk).slice(-20_000))
  child.stdout.setEncoding('utf8').on('data', collect)
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    collect(chunk)
    if (process.env['BENCH_SHOW_OUTPUT']) process.stderr.write(chunk)
  })
  let found: RegExpExecArray | null = null
  await until(
    () => (found = pattern.exec(text)) !== null || child.exitCode !== null,
    `${command.join(' ')} says ${String(pattern)}`,
    READY_DEADLINE_MS,
  )
  if (found === null) throw new Error(`${command.join(' ')} ended: ${text}`)
  return { child, said: found }
}

async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  const deadline = setTimeout(() => {
    for (const { pid } of treeOf(child.pid ?? -1)) tryKill(pid)
  }, STOP_DEADLINE_MS)
  await exited
  clearTimeout(deadline)
}

/** Its processes, found by what they are called with. */
const find = (root: number, pattern: RegExp): number[] =>
  treeOf(root).flatMap(({ pid }) => (pattern.test(commandLineOf(pid)) ? [pid] : []))

export async function openService(bench: Bench, checkout: Checkout, options: ServiceOptions = {}): Promise<Service> {
  const { apis = 1, workers = 1, env: more = {}, wrapper = [] } = options
  const folder = await mkdtemp(join(bench.folder, 'service-'))
  const token = randomBytes(32).toString('hex')
  const children = new Set<ChildProcess>()
  const env: NodeJS.ProcessEnv = {
    ...serviceEnvironment(folder),
    CC_EXECUTOR_CLAUDE_BIN: bench.programs.printer,
    ANTHROPIC_API_KEY: 'bench',
    CC_EXECUTOR_TOKENS: `bench=${token}`,
    ...more,
  }
  const redis = await openRedisServer({
    directory: join(folder, 'redis'),
    searchPath: (env['PATH'] ?? '').split(':'),
  })
  env['REDIS_URL'] = redis.url
  const ports: number[] = []
  const addedWorkers = new Set<ChildProcess>()
  const apiPids: number[] = []
  const workerPids: number[] = []
  const command = [...wrapper, process.execPath, ...checkout.entry]

  async function add(part: 'api' | 'worker', special: NodeJS.ProcessEnv = {}): Promise<void> {
    const pattern = part === 'api' ? /API on http:\/\/[^:]+:(\d+),/ : /worker \S+: \d+ at once/
    const { child, said } = await startProcess([...command, part], { ...env, ...special }, pattern, children)
    const pid = find(child.pid ?? -1, / (?:api|worker)\b/)[0] ?? child.pid ?? -1
    if (part === 'api') ports.push(Number(said[1]))
    ;(part === 'api' ? apiPids : workerPids).push(pid)
    if (part === 'worker') addedWorkers.add(child)
  }
  async function stopWorkers(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await Promise.all([...addedWorkers].map((child) => end(child, signal)))
    addedWorkers.clear()
    workerPids.length = 0
  }
  async function close(): Promise<void> {
    for (const child of children) await end(child)
    await redis.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    if (apis === 1 && workers === 1) {
      const { child, said } = await startProcess([...command, 'start'], env, /address +http:\/\/[^:]+:(\d+)/, children)
      ports.push(Number(said[1]))
      apiPids.push(...find(child.pid ?? -1, / api$/))
      workerPids.push(...find(child.pid ?? -1, / worker$/))
    } else {
      for (let count = 0; count < apis; count += 1) await add('api')
      for (let count = 0; count < workers; count += 1) await add('worker')
    }
    if (apiPids.length !== apis || workerPids.length !== workers)
      throw new Error(`${checkout.title}: its processes were not found`)
    const redisPid = find(redis.pid, /^\S*(?:redis|valkey)-server /)[0] ?? redis.pid
    const [port = 0] = ports
    const service = {
      checkout,
      folder,
      token,
      ports,
      port,
      redis,
      redisPid,
      apiPids,
      workerPids,
      env,
      add,
      stopWorkers,
      close,
    }
    return service
  } catch (error) {
    await close()
    throw error
  }
}

/** One of each checkout, all at once: one that has nothing to do costs the others nothing. */
export async function withServices<Result>(
  bench: Bench,
  options: ServiceOptions,
  use: (services: readonly Service[]) => Promise<Result>,
): Promise<Result> {
  const services: Service[] = []
  try {
    for (const checkout of bench.checkouts) services.push(await openService(bench, checkout, options))
    return await use(services)
  } finally {
    for (const service of services) await service.close()
  }
}

/** CPU of a process so far, in ms: the kernel's own count of each of its threads. */
export function cpuMsOf(pids: readonly number[]): number {
  let ns = 0
  for (const pid of pids)
    for (const thread of readdirSync(`/proc/${pid}/task`))
      try {
        ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
      } catch {
        // It has just ended.
      }
  return ns / 1e6
}

export const pidsOf = ({ apiPids, workerPids, redisPid }: Service): number[] => [...apiPids, ...workerPids, redisPid]

/** Until its processes have nothing left to do: what still works off the last run would slow down the next one. */
export async function settle(service: Service, mostMs = 15_000): Promise<void> {
  const until = performance.now() + mostMs
  for (let quiet = 0; quiet < 2 && performance.now() < until;) {
    const before = cpuMsOf(pidsOf(service))
    await sleep(150)
    quiet = cpuMsOf(pidsOf(service)) - before < 15 ? quiet + 1 : 0
  }
}

/** In KiB. */
export const memoryOf = (pid: number, field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** From now on the peak is counted anew. */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')
