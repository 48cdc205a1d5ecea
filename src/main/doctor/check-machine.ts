import { lookup } from 'node:dns/promises'
import { readFile, stat } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { VARIABLES, type Config } from '../../platform/config.js'
import { within } from '../../platform/abort-signals.js'
import { findFileLack, readLimits } from '../lifecycle/open-files.js'
import { fail, ok, warn, type Verdict } from './finding.js'

const MIB = 1024 * 1024
/** A CLI needs some 300 MB at its peak (facts: claude-cli, section 11), its tools more. */
const RUN_BYTES = 320 * MIB
/** API, worker and Redis without load. */
const SERVICE_BYTES = 512 * MIB
/** Of the service itself. */
const OWN_TASKS = 256
/** The CLI, its threads, and a build or a test that an agent starts. */
const TASKS_PER_RUN = 128
const LOOKUP_DEADLINE_MS = 3_000

export function checkNode(version: string = process.versions.node): Verdict {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 20 || (major === 20 && minor >= 19)
    ? ok(version)
    : fail(`Node.js ${version} is too old`, 'install Node.js 20.19 or later')
}

interface Lock {
  readonly packages?: Record<
    string,
    { version?: string; dev?: boolean; devOptional?: boolean; optional?: boolean; peer?: boolean; extraneous?: boolean }
  >
}

/**
 * What npm left in node_modules against the lock file; a package for tests or another platform may be absent.
 * undefined: there is no lock file here.
 */
export async function checkDependencies(checkout: string): Promise<Verdict | undefined> {
  const read = async (name: string): Promise<Lock | undefined> => {
    const text = await readFile(join(checkout, name), 'utf8').catch(() => undefined)
    // Safe: npm wrote it, and only what is there is looked at.
    return text === undefined ? undefined : (JSON.parse(text) as Lock)
  }
  const [wanted, installed] = await Promise.all([read('package-lock.json'), read('node_modules/.package-lock.json')])
  if (wanted === undefined) return undefined
  const needed = Object.entries(wanted.packages ?? {}).filter(([name, entry]) => name !== '' && entry.dev !== true)
  const wrong = needed.filter(([name, { version, optional, devOptional, peer }]) => {
    const found = installed?.packages?.[name]
    return found === undefined ? !(optional ?? devOptional ?? peer) : found.version !== version
  })
  const [first] = wrong
  if (first === undefined) return ok(`${needed.length} packages as in package-lock.json`)
  return fail(
    `${wrong.length} of ${needed.length} packages are missingor have another version than in ` +
      `package-lock.json, such as ${first[0].replace('node_modules/', '')}`,
    `npm run setup (in ${checkout})`,
  )
}

/** Settings that `npm start` would read and this diagnosis does not know. */
export async function checkEnvFile(folder: string): Promise<Verdict | undefined> {
  const isThere = await stat(join(folder, '.env')).then(
    (entry) => entry.isFile(),
    () => false,
  )
  return isThere
    ? warn(
        'the .env in this folder is read by cc-executor start only, and was not read now',
        'set -a; . ./.env; set +a; cc-executor doctor',
      )
    : undefined
}

/** Read by set-up or by the tests, and by nothing that a Config tells. */
const FURTHER_NAMES = new Set([
  'CC_EXECUTOR_CACHE_DIR',
  'CC_EXECUTOR_CLAUDE_VERSION',
  'CC_EXECUTOR_TEST_ALL',
  'CC_EXECUTOR_TEST_IMAGES',
  'CC_EXECUTOR_TOKENS_FILE',
  'CC_EXECUTOR_CONTRACT_VERSIONS',
  'CC_EXECUTOR_CONTRACT_TABLE',
  'CC_EXECUTOR_FAULT_SEED',
  'CC_EXECUTOR_FUZZ_SEED',
  'CC_EXECUTOR_FUZZ_RUNS',
])

/** A name that is misspelt sets nothing, and nothing else tells. */
export function checkNames({ environment, childEnv }: Pick<Config, 'environment' | 'childEnv'>): Verdict | undefined {
  const isKnown = (name: string): boolean =>
    Object.hasOwn(VARIABLES, name) || FURTHER_NAMES.has(name) || childEnv.includes(name)
  const unknown = Object.keys(environment).filter((name) => name.startsWith('CC_EXECUTOR_') && !isKnown(name))
  return unknown.length === 0
    ? undefined
    : warn(
        `${unknown.join(', ')} is not a setting and has no effect`,
        'correct the name; cc-executor config lists all of them',
      )
}

export function checkUser(userId: number | undefined = process.getuid?.()): Verdict {
  if (userId === undefined) return ok('this system has no user ids')
  return userId === 0
    ? warn('the service would run as root, and so would the runs', 'start it as an ordinary user')
    : ok(`user id ${userId}, not root`)
}

export function checkMemory(concurrency: number): Verdict {
  // 0 or beyond the machine's own where no control group limits it.
  const constrained = process.constrainedMemory()
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  const wanted = SERVICE_BYTES + concurrency * RUN_BYTES
  const message = `${Math.round(bytes / MIB)} MiB for ${concurrency} concurrent executions`
  return bytes >= wanted
    ? ok(message)
    : warn(
        `${message}, which need at least ${Math.round(wanted / MIB)} MiB`,
        'set CC_EXECUTOR_CONCURRENCY to fewer, or add memory',
      )
}

export function checkOpenFiles(
  settings: { readonly maxConnections: number; readonly concurrency: number },
  limits = readLimits(),
): Verdict {
  const { openFiles } = limits
  const lack = findFileLack(settings, limits)
  if (lack) return (lack.isFatal ? fail : warn)(lack.message, lack.remedy)
  return ok(openFiles === undefined ? 'no limit' : `limit ${openFiles}`)
}

/** Of the control group that this process is in: under version 2 its own folder, under version 1 that of `pids`. */
async function readTaskLimit(): Promise<number | undefined> {
  const groups = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const [, unified] = /^0::(.*)$/m.exec(groups) ?? []
  const [, pids] = /^\d+:pids:(.*)$/m.exec(groups) ?? []
  // In a container the path may be the host's, and the files of its own group lie at the top.
  const places = [
    ...(pids === undefined ? [] : [`/sys/fs/cgroup/pids${pids}`, '/sys/fs/cgroup/pids']),
    ...(unified === undefined ? [] : [`/sys/fs/cgroup${unified}`, '/sys/fs/cgroup']),
  ]
  const texts = await Promise.all(places.map((place) => readFile(join(place, 'pids.max'), 'utf8').catch(() => '')))
  const numbers = texts.map((text) => Number.parseInt(text, 10)).filter((number) => Number.isFinite(number))
  return numbers.length === 0 ? undefined : Math.min(...numbers)
}

export async function checkProcesses(concurrency: number, { processes } = readLimits()): Promise<Verdict> {
  const limits = [await readTaskLimit(), processes].filter((limit) => limit !== undefined)
  const wanted = OWN_TASKS + concurrency * TASKS_PER_RUN
  if (limits.length === 0) return ok('no limit')
  const limit = Math.min(...limits)
  return limit >= wanted
    ? ok(`limit ${limit}`)
    : warn(
        `at most ${limit} processes and threads, and ${concurrency} concurrent executions need about ${wanted}`,
        'ulimit -u, TasksMax= under systemd, pids_limit in Compose; or a lower CC_EXECUTOR_CONCURRENCY',
      )
}

/** A clock that stands before the service was installed makes every certificate invalid. */
export async function checkClock(reference: string, now = Date.now()): Promise<Verdict> {
  const { mtimeMs } = await stat(reference)
  const shown = new Date(now).toISOString()
  return now >= mtimeMs - 60_000
    ? ok(shown)
    : fail(
        `the clock says ${shown}, which is before this service was installed`,
        'set the clock (timedatectl set-ntp true)',
      )
}

/** Whoever writes `localhost` must reach a service that listens on 127.0.0.1. */
export async function checkLocalhost(name = 'localhost'): Promise<Verdict> {
  const remedy = `add the line "127.0.0.1 ${name}" to /etc/hosts, or write 127.0.0.1`
  try {
    const found = await within(LOOKUP_DEADLINE_MS, 'the name', lookup(name, { all: true }))
    const addresses = found.map(({ address }) => address)
    return addresses.includes('127.0.0.1')
      ? ok(`${name} is ${addresses.join(', ')}`)
      : warn(`${name} is ${addresses.join(', ')} and not 127.0.0.1`, remedy)
  } catch {
    return warn(`the name ${name} is not known on this machine`, remedy)
  }
}
