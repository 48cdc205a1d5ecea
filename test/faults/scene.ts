import { setMaxListeners } from 'node:events'
import { appendFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openApi } from '../../src/main/api.js'
import { openWorker } from '../../src/main/worker.js'
import { sleep } from '../../src/platform/abort-signals.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import type { Event } from '../../src/protocol/events.js'
import { openCluster, type Cluster, type Place, type Transport } from '../support/cluster.js'
import { type CliProcess } from '../support/processes.js'
import { openFaultyRedis, type FaultyRedis } from './faulty-redis.js'
import { openLink, type Link } from './link.js'
import { openRandom, type Random } from './random.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { until } from '../support/deadlines.js'

const TRANSPORTS: readonly Transport[] = ['websocket', 'sse', 'rest']
const DEADLINE_MS = 300_000
/** A run is ended after two fifths of it without its worker: much longer than a busy machine holds a process up. */
const LEASE_SECONDS = '15'

export type Step = Record<string, unknown>
export const INIT: Step = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
export const RESULT: Step = {
  line: {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'done',
    num_turns: 1,
    usage: {},
    permission_denials: [],
  },
}

/** A part of the service with a way to Redis of its own. */
export interface Worker {
  readonly pid: number
  readonly link: Link
}
export interface Api extends Worker, Place {}
/** In a process of its own, to which something can be done. */
export type Started<Member> = Member & CliProcess

interface Way extends NodeJS.ProcessEnv {
  readonly REDIS_URL: string
}

/** An execution that was accepted, with everybody who watches it. */
export interface Watched {
  readonly id: string
  readonly name: string
  /** What each subscriber has seen so far. */
  readonly seen: readonly Event[][]
  /** The file in which the CLI leaves a line for each start. */
  readonly mark: string
  has(type: string): boolean
}

export interface Scene {
  readonly cluster: Cluster
  readonly redis: FaultyRedis
  readonly random: Random
  /** Those that live. */
  readonly apis: Api[]
  readonly workers: Worker[]
  readonly executions: Watched[]
  /** A part of every command line that a tool leaves behind: `sleep ${tag}…`. */
  readonly tag: string
  /** `command`: instead of plain node. */
  openApi(env?: NodeJS.ProcessEnv, command?: readonly string[]): Promise<Started<Api>>
  openWorker(env?: NodeJS.ProcessEnv, command?: readonly string[]): Promise<Started<Worker>>
  /** In the test's own process, for a third of the time: for one to which nothing is done but by its link. */
  hostApi(): Promise<Api>
  hostWorker(): Promise<Worker>
  /** Ends a process and waits until it is gone. */
  end(member: CliProcess, signal: 'SIGKILL' | 'SIGTERM'): CliProcess['ended']
  /**
   * Submits to any API, or to that one, and lets subscribers watch it, who come back after every break, at any API, by
   * their cursor.
   */
  submit(name: string, steps: readonly Step[], more?: Record<string, unknown>, api?: Api): Promise<Watched>
  /** An execution that was accepted elsewhere in the test. */
  watch(id: string, name: string, mark: string): Watched
  workerOf(execution: Watched): Worker | undefined
  /** Resolves when the execution has ended and everybody has seen it. */
  ended(execution: Watched): Promise<Event<'execution.finished'>['data']['outcome']>
}

export interface SceneOptions {
  readonly name: string
  readonly seed: string
  readonly env?: NodeJS.ProcessEnv
  readonly watchers?: number
  /** By which they watch; all of them unless said otherwise. */
  readonly transports?: readonly Transport[]
  /** From `buildClock`: Redis' clock can be set. */
  readonly clock?: string
}

/** Real processes of the service on a Redis of their own, each behind a link that can break. */
export async function openScene(
  t: Test,
  { name, seed, env = {}, watchers = 2, transports = TRANSPORTS, clock }: SceneOptions,
): Promise<Scene> {
  const random = openRandom(`${seed}/${name}`)
  const redis = await openFaultyRedis(t, clock)
  const cluster = await openCluster(t, {
    redisUrl: `unix://${redis.socket}`,
    env: {
      CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
      CC_EXECUTOR_CONCURRENCY: '8',
      CC_EXECUTOR_LOCK_SECONDS: LEASE_SECONDS,
      ...env,
    },
  })
  const marks = join(cluster.folder, 'marks')
  await mkdir(marks, { mode: 0o777 })
  const apis: Api[] = []
  const workers: Worker[] = []
  const executions: Watched[] = []
  const stopped = new AbortController()
  // Every subscriber listens to it.
  setMaxListeners(0, stopped.signal)
  t.teardown(() => Promise.resolve(stopped.abort()))
  const tag = `8${process.pid}${random.between(1_000, 10_000)}`

  async function openBehindLink<Own>(open: (env: Way) => Promise<Own>): Promise<Own & { link: Link }> {
    const link = await openLink(t, redis.socket)
    return { ...(await open({ REDIS_URL: `redis://127.0.0.1:${link.port}` })), link }
  }
  /** Among those that live, until it has ended. */
  function keep<Member, Own extends Member>(members: Member[], own: Own & { ended?: CliProcess['ended'] }): Own {
    members.push(own)
    void own.ended?.then(() => members.splice(members.indexOf(own), 1))
    return own
  }
  /** Opened in this process, and closed with the test. */
  async function host<Part extends { close(): Promise<void> }>(
    open: (config: Config, redisUrl: string) => Promise<Part>,
    env: Way,
  ): Promise<Part & { pid: number }> {
    const part = await open(readConfig({ ...cluster.environment, ...env }), env.REDIS_URL)
    t.teardown(() => part.close())
    return { ...part, pid: process.pid }
  }

  /** One subscriber: it sees what it sees, and comes back with its cursor when a connection ends too early. */
  async function subscribe(id: string, seen: Event[], own: Random): Promise<void> {
    // In the time of the scene, which has a deadline: its end stops this.
    for (; seen.at(-1)?.type !== 'execution.finished' && !stopped.signal.aborted; await sleep(50, stopped.signal)) {
      const transport = own.pick(transports)
      const [api] = own.shuffle(apis)
      try {
        if (api) for await (const event of cluster.follow(api, id, seen.at(-1)?.seq ?? 0, transport)) seen.push(event)
      } catch {
        // Cut off, refused, or the API has died: that is what happens here.
      }
    }
  }

  function watch(id: string, executionName: string, mark: string): Watched {
    const seen = Array.from({ length: watchers }, (): Event[] => [])
    // Promises of their own, which never reject: what they have seen is compared at the end.
    for (const [index, events] of seen.entries()) void subscribe(id, events, random.branch(`${executionName}/${index}`))
    const execution: Watched = {
      id,
      name: executionName,
      seen,
      mark,
      has: (type) => seen.some((events) => events.some((event) => event.type === type)),
    }
    executions.push(execution)
    return execution
  }

  return {
    cluster,
    redis,
    random,
    apis,
    workers,
    executions,
    tag,
    watch,
    openApi: async (more, command) =>
      keep(apis, await openBehindLink((env) => cluster.openApi({ ...env, ...more }, command))),
    openWorker: async (more, command) =>
      keep(workers, await openBehindLink((env) => cluster.openWorker({ ...env, ...more }, command))),
    hostApi: async () => keep(apis, await openBehindLink((env) => host(openApi, env))),
    hostWorker: async () => keep(workers, await openBehindLink((env) => host(openWorker, env))),
    async end(member, signal) {
      member.kill(signal)
      return member.ended
    },
    async submit(executionName, steps, more = {}, api = random.pick(apis)) {
      const mark = join(marks, executionName)
      appendFileSync(mark, '')
      return watch(await cluster.submit(api, JSON.stringify([{ mark }, INIT, ...steps]), more), executionName, mark)
    },
    workerOf({ seen }) {
      const started = seen[0]?.find(({ type }) => type === 'execution.started') as
        Event<'execution.started'> | undefined
      return workers.find(({ pid }) => started?.data.workerId.includes(`-${pid}-`))
    },
    async ended({ seen, name: executionName }) {
      await until(
        () => seen.every((events) => events.at(-1)?.type === 'execution.finished'),
        `every subscriber of ${executionName} sees its end`,
        DEADLINE_MS,
      )
      const last = seen[0]?.at(-1)
      if (!last) throw new Error('nobody watches it')
      // Safe: its type was just looked at.
      return (last as Event<'execution.finished'>).data.outcome
    },
  }
}
