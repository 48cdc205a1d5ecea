// The service as a user starts it, in processes of its own: by `npm start`, or its parts one by one.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openRedisServer, splitPath } from '../../src/platform/redis-server.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { commandLineOf, makeFolder, spawnWatched, treeOf, tryKill } from '../support/processes.js'
import { testEnvironment } from '../support/environment.js'
import { CLI } from '../support/paths.js'

const secret = (name: string): string => `${name}-0123456789abcdef`
/** One of each kind: everything, only one scope, a budget that nothing fits into, and one that two runs fit into. */
export const TOKENS = {
  all: secret('all'),
  other: secret('other'),
  reader: secret('reader'),
  runner: secret('runner'),
  poor: secret('poor'),
  tight: secret('tight'),
} as const
export type TokenName = keyof typeof TOKENS

/** Small limits, so that a walk reaches them. */
export const FILES_LIMIT_BYTES = 4_096
export const SUBSCRIPTION_LIMIT = 2
const QUEUE_LIMIT = 26
/** More than the walk makes by the way. */
export const TOKENS_LIMIT = 30
/** Of one token: more than the walk makes by the way. */
export const SCHEDULES_LIMIT = 24
/** What an execution that starts and ends leaves with a webhook that nobody answers. */
export const DELIVERIES_LIMIT = 2
const WEBHOOKS_LIMIT = 40
/** More than a walk ends by the way. */
export const RETENTION_COUNT = 60

export interface Started {
  readonly url: string
  /** Below which everything of it lies. */
  readonly folder: string
  /** What `run --here` sends, where the folder is not on this machine. */
  readonly admission?: () => Promise<Record<string, unknown>>
  /** Holds Redis still, which then answers nobody. */
  readonly freezeRedis: (isFrozen: boolean) => Promise<void>
}

/** Where runs may name folders and repositories; in an image nothing of it lies in the data folder. */
export const rootOf = (folder: string): string => (folder === '/data' ? '/tmp' : join(folder, 'repositories'))

export function startedEnvironment(folder: string): NodeJS.ProcessEnv {
  const { all, other, reader, runner, poor, tight } = TOKENS
  // A root that is not there allows nothing.
  if (folder !== '/data') mkdirSync(rootOf(folder), { recursive: true })
  return {
    ...testEnvironment(folder),
    CC_EXECUTOR_TOKENS: `all=${all},other=${other}:execute+read,reader=${reader}:read,runner=${runner}:execute,poor=${poor}:daily-tokens=1,tight=${tight}:daily-tokens=2000`,
    CC_EXECUTOR_SHARED_WORKSPACES: 'occupied',
    CC_EXECUTOR_ALLOWED_ROOTS: rootOf(folder),
    CC_EXECUTOR_REPOSITORIES: `${rootOf(folder)}/*`,
    CC_EXECUTOR_FILES_LIMIT_BYTES: String(FILES_LIMIT_BYTES),
    CC_EXECUTOR_MAX_SUBSCRIPTIONS: String(SUBSCRIPTION_LIMIT),
    CC_EXECUTOR_MAX_QUEUE: String(QUEUE_LIMIT),
    CC_EXECUTOR_MAX_TOKENS: String(TOKENS_LIMIT),
    CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN: String(SCHEDULES_LIMIT),
    CC_EXECUTOR_MAX_WEBHOOKS: String(WEBHOOKS_LIMIT),
    CC_EXECUTOR_MAX_PENDING_DELIVERIES: String(DELIVERIES_LIMIT),
    CC_EXECUTOR_RETENTION_COUNT: String(RETENTION_COUNT),
    CC_EXECUTOR_LOCK_SECONDS: '60',
  }
}

function findRedis(ancestor: number): Started['freezeRedis'] {
  const redis = treeOf(ancestor).find(({ pid }) => /^\S*(?:redis|valkey)-server /.test(commandLineOf(pid)))
  if (!redis) throw new Error('it runs no Redis')
  return async (isFrozen) => tryKill(redis.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT')
}

/** `npm start -- --simulate`, or another command that runs `start`, with a private Redis of its own. */
export async function startWhole(
  t: Test,
  command: readonly string[],
  cwd: string,
  more: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const folder = await makeFolder(t)
  const environment = { ...startedEnvironment(folder), ...more }
  const service = spawnWatched(t, command, environment, cwd)
  await service.said(/Ctrl-C stops it/)
  const [, url = ''] = await service.said(/address +(http\S+)/)
  return { url, folder, freezeRedis: findRedis(service.pid) }
}

/** Redis, and `cc-executor api` and `cc-executor worker` by themselves. */
export async function startParts(t: Test, cli: readonly string[] = [process.execPath, CLI]): Promise<Started> {
  const folder = await makeFolder(t)
  const environment = startedEnvironment(folder)
  const redis = await openRedisServer({
    directory: join(folder, 'redis'),
    searchPath: splitPath(environment['PATH']),
    durable: false,
  })
  t.teardown(() => redis.close())
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  Object.assign(environment, {
    REDIS_URL: redis.url,
    CC_EXECUTOR_REDIS_WAIT_SECONDS: '60',
    CC_EXECUTOR_SIMULATOR_URL: simulator.url,
  })
  const [api, worker] = [
    spawnWatched(t, [...cli, 'api'], environment, '/'),
    spawnWatched(t, [...cli, 'worker'], environment, '/'),
  ]
  const [[, url = '']] = await Promise.all([
    api.said(/API on (http\S+),.* the tokens are those of CC_EXECUTOR_TOKENS/),
    worker.said(/worker \S+: \d+ at once/),
  ])
  return { url, folder, freezeRedis: findRedis(redis.pid) }
}
