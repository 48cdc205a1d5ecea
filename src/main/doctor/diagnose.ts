import { fileURLToPath } from 'node:url'
import { ConfigError, readConfig, type Config } from '../../platform/config.js'
import { checkoutDirectory } from '../../platform/own-folders.js'
import { checkClaude } from './check-claude.js'
import { checkContainment } from './check-containment.js'
import { checkCredentials } from './check-credentials.js'
import {
  checkAllowedRoot,
  checkDisk,
  checkOpenings,
  checkOwnFolder,
  checkTemporaryFolder,
  checkToken,
} from './check-folders.js'
import { checkHooks } from './check-hooks.js'
import {
  checkClock,
  checkDependencies,
  checkEnvFile,
  checkLocalhost,
  checkMemory,
  checkNames,
  checkNode,
  checkOpenFiles,
  checkProcesses,
  checkUser,
} from './check-machine.js'
import { checkRedis } from './check-redis.js'
import { checkSchedules } from './check-schedules.js'
import { checkLimits, checkPort, checkWebhooks } from './check-service.js'
import { checkTracing } from './check-tracing.js'
import type { Finding, Verdict } from './finding.js'

type Check = readonly [part: string, verdict: Verdict | undefined | Promise<Verdict | undefined>]

const settle = async (checks: readonly Check[]): Promise<Finding[]> =>
  (await Promise.all(checks.map(async ([part, check]) => ({ part, verdict: await check })))).flatMap(
    ({ part, verdict }) => (verdict === undefined ? [] : [{ part, ...verdict }]),
  )

/** Where a part has a container to itself, what belongs to the other one is not there, and not missed. */
const only = (part: Config['part'], { part: here }: Config, list: () => Check[]): Check[] =>
  here === undefined || here === part ? list() : []

const checkMachine = (config: Config): Promise<Finding[]> =>
  settle([
    ['settings', checkNames(config)],
    ['settings', checkEnvFile(process.cwd())],
    ['node', checkNode()],
    ['packages', checkDependencies(checkoutDirectory())],
    ['user', checkUser()],
    ...only('worker', config, () => [['memory', checkMemory(config.concurrency)]]),
    ['open files', checkOpenFiles(config)],
    ...only('worker', config, () => [['processes', checkProcesses(config.concurrency)]]),
    ['clock', checkClock(fileURLToPath(import.meta.url))],
    ['localhost', checkLocalhost()],
    ['temporary folder', checkTemporaryFolder()],
  ])

async function checkFolders(config: Config): Promise<Finding[]> {
  // First, as what follows lies in it.
  const folder = await checkOwnFolder(config.dataDir, 'CC_EXECUTOR_DATA_DIR')
  return settle([
    ['data folder', folder],
    ['disk', checkDisk(config.dataDir)],
    ...only('worker', config, () => [
      [
        'workspaces',
        folder.status === 'ok' ? checkOwnFolder(config.workspaceRoot, 'CC_EXECUTOR_WORKSPACE_ROOT') : undefined,
      ],
      ...config.allowedRoots.map((root): Check => ['allowed root', checkAllowedRoot(root, config)]),
    ]),
    ['openings', checkOpenings(config)],
    ...only('api', config, () => [['token', checkToken(config)]]),
    ...only('worker', config, () => [['hooks', checkHooks(config)]]),
  ])
}

/**
 * Everything that can be wrong with this machine, each with its remedy. Nothing is told that was not looked at; nobody
 * but Redis and this machine is asked.
 */
export async function diagnose(environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  let config: Config
  try {
    config = readConfig(environment)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [
      {
        part: 'settings',
        status: 'failed',
        message: error.message,
        remedy: 'correct the variable; the rest was not checked',
      },
    ]
  }
  const folders = await checkFolders(config)
  // The CLI is tried in the data folder, as runs are.
  const hasFolder = folders.every(({ part, status }) => part !== 'data folder' || status === 'ok')
  const hasWorker = config.part !== 'api'
  const [machine, redis, claude, rest] = await Promise.all([
    checkMachine(config),
    checkRedis(config),
    hasFolder && hasWorker ? checkClaude(config) : [],
    settle([
      ...only('worker', config, () => [['containment', checkContainment(config)]]),
      ...only('api', config, () => [
        ['port', checkPort(config)],
        ['limits', checkLimits(config)],
        ['schedules', checkSchedules(config)],
        ['webhooks', checkWebhooks(config)],
      ]),
      ['tracing', config.tracing && checkTracing(config.tracing)],
    ]),
  ])
  return [...machine, ...redis, ...claude, ...(hasWorker ? checkCredentials(config) : []), ...rest, ...folders]
}

const WORDS = { ok: 'ok   ', warning: 'warn ', failed: 'FAIL ' } as const

/** One line each: whether it is well, the part, what was found, what to do. */
export const toLine = ({ part, status, message, remedy }: Finding): string =>
  `${WORDS[status]} ${part}: ${message}${remedy === undefined ? '' : ` → ${remedy}`}`.replaceAll(/\s*\n\s*/g, ' ')

export const NOT_LOOKED_AT =
  'Not checked: whether Claude’s API can be reached from here and accepts these credentials. The first ' +
  'execution will show it.'
