import { access, constants, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { within } from '../platform/deadline.js'
import type { Config } from '../platform/config.js'
import { createLogger } from '../platform/logger.js'
import { closeRedis, openRedis } from '../platform/redis.js'
import { findExecutable, splitPath } from '../platform/redis-server.js'
import { chooseContainment } from '../supervision/containment.js'
import { createRedisCheck } from './build-app.js'
import { inspectClaude } from './worker.js'
import { makeFolder } from '../platform/make-folder.js'

export interface Finding {
  readonly part: string
  readonly ok: boolean
  /** What is there, or what is missing and the remedy. */
  readonly message: string
}

const MINIMUM_FREE_BYTES = 512 * 1024 * 1024

async function checkNode(): Promise<Omit<Finding, 'part'>> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const ok = major > 20 || (major === 20 && minor >= 19)
  return { ok, message: ok ? process.versions.node : `${process.versions.node} is too old; install Node.js 20.19 or later` }
}

async function checkRedis(config: Config): Promise<Omit<Finding, 'part'>> {
  if (config.redisUrl === undefined) {
    const binary = await findExecutable(['redis-server', 'valkey-server'], [...splitPath(config.environment['PATH']), config.cacheBin])
    return binary === undefined ? { ok: false, message: 'no redis-server: run npm run setup, install redis-server or valkey-server, or set REDIS_URL' } : { ok: true, message: `npm start runs a private one (${binary})` }
  }
  const redis = openRedis({ url: config.redisUrl, logger: createLogger('silent', 'doctor'), role: 'caller' })
  try {
    const problem = await within(3_000, 'Redis', createRedisCheck(redis)())
    return { ok: problem === undefined, message: problem ?? 'answers at REDIS_URL' }
  } catch {
    return { ok: false, message: 'REDIS_URL does not answer: start Redis there, or correct the variable' }
  } finally {
    closeRedis(redis)
  }
}

async function checkFolder(path: string): Promise<Omit<Finding, 'part'>> {
  try {
    await makeFolder(path, 0o700)
    await access(path, constants.W_OK | constants.X_OK)
    const { bavail, bsize } = await statfs(path)
    const free = bavail * bsize
    return { ok: free >= MINIMUM_FREE_BYTES, message: free >= MINIMUM_FREE_BYTES ? path : `${path}: less than 512 MiB are free on its disk` }
  } catch (error) {
    // Safe: node:fs rejects with errno exceptions.
    return { ok: false, message: `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'error'}); set CC_EXECUTOR_DATA_DIR` }
  }
}

async function checkPort({ host, port }: Config): Promise<Omit<Finding, 'part'>> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve({ ok: false, message: `${host}:${port} cannot be listened on (${error.code ?? error.message}); a running cc-executor has it, or set CC_EXECUTOR_PORT` }))
    probe.listen({ host, port }, () => probe.close(() => resolve({ ok: true, message: `${host}:${port} is free` })))
  })
}

async function checkContainment(config: Config): Promise<Omit<Finding, 'part'>> {
  try {
    const { level, strong, detail } = await chooseContainment({ policy: config.containment, extraPath: [config.cacheBin] })
    return { ok: strong, message: `${level}: ${detail}` }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}

/** Everything that can be wrong with this machine, each with its remedy. */
export async function diagnose(config: Config): Promise<Finding[]> {
  const claude = await inspectClaude(config)
  const { method, message, remedy } = claude.credentials
  const checks: Array<[string, Omit<Finding, 'part'> | Promise<Omit<Finding, 'part'>>]> = [
    ['node', checkNode()],
    ['redis', checkRedis(config)],
    ['claude', { ok: claude.state.found, message: claude.state.message }],
    ['credentials', { ok: method !== 'none', message: remedy === undefined ? message : `${message} ${remedy}` }],
    ['containment', checkContainment(config)],
    ['data folder', checkFolder(config.dataDir)],
    ['port', checkPort(config)],
  ]
  return Promise.all(checks.map(async ([part, check]) => ({ part, ...(await check) })))
}
