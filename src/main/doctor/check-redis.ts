import { join } from 'node:path'
import type { Config } from '../../platform/config.js'
import { DeadlineError, within } from '../../platform/abort-signals.js'
import { createLogger } from '../../platform/logger.js'
import { closeRedis, openRedis, readTime } from '../../platform/redis.js'
import { findExecutable, SOCKET_PATH_LIMIT, splitPath } from '../../platform/redis-server.js'
import { fail, ok, warn, type Finding } from './finding.js'

const DEADLINE_MS = 3_000
/** What BullMQ asks for. */
const MINIMUM_VERSION = [6, 2] as const
const CROWDED = 0.9
/** Events carry the time of the process that wrote them; nothing is decided by it. */
const MAXIMUM_SKEW_MS = 5_000
const part = 'redis'

async function checkPrivate({ environment, cacheBin, dataDir }: Config): Promise<Finding[]> {
  const binary = await findExecutable(['redis-server', 'valkey-server'], [...splitPath(environment['PATH']), cacheBin])
  if (binary === undefined)
    return [
      {
        part,
        ...fail(
          'no redis-server was found',
          'npm run setup, or install redis-server or valkey-server, or set REDIS_URL',
        ),
      },
    ]
  const socket = join(dataDir, 'redis', 'redis.sock')
  if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT)
    return [
      { part, ...fail(`the path of its socket is too long (${socket})`, 'set CC_EXECUTOR_DATA_DIR to a shorter one') },
    ]
  return [{ part, ...ok(`npm start runs a private one (${binary})`) }]
}

/** Judges what `INFO` says. BullMQ and we alike keep keys that must never be evicted. */
export function judgeRedis(info: string): Finding[] {
  const read = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  const version = read('redis_version') ?? '0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const findings: Finding[] = []
  const isOld = major < MINIMUM_VERSION[0] || (major === MINIMUM_VERSION[0] && minor < MINIMUM_VERSION[1])
  const verdict = isOld
    ? fail(`version ${version} is too old for BullMQ`, `use ${MINIMUM_VERSION.join('.')} or later`)
    : ok(`version ${version} answers at REDIS_URL`)
  findings.push({ part, ...verdict })
  if (read('role') === 'slave')
    findings.push({ part, ...fail('it is a read-only replica', 'let REDIS_URL use the primary') })
  if (read('loading') === '1')
    findings.push({ part, ...fail('it is still loading its data', 'wait until it has finished') })

  const policy = read('maxmemory_policy')
  const eviction = 'redis eviction'
  if (policy === undefined)
    findings.push({ part: eviction, ...warn('its maxmemory-policy cannot be read', 'make sure that it is noeviction') })
  else if (policy === 'noeviction') findings.push({ part: eviction, ...ok('noeviction, as BullMQ requires') })
  else
    findings.push({
      part: eviction,
      ...fail(
        `maxmemory-policy is ${policy}: Redis may evict queued executions and events`,
        'CONFIG SET maxmemory-policy noeviction, and the same line in redis.conf',
      ),
    })
  const [used, most] = [Number(read('used_memory') ?? 0), Number(read('maxmemory') ?? 0)]
  if (most > 0 && used > most * CROWDED)
    findings.push({
      part: eviction,
      ...warn(
        `${Math.round((100 * used) / most)} % of maxmemory is used; when it is full, new executions are rejected`,
        'raise maxmemory, or lower CC_EXECUTOR_RETENTION_BYTES',
      ),
    })

  const persistence = 'redis persistence'
  const failed = ['rdb_last_bgsave_status', 'aof_last_write_status', 'aof_last_bgrewrite_status'].filter(
    (name) => (read(name) ?? 'ok') !== 'ok',
  )
  if (failed.length > 0)
    findings.push({
      part: persistence,
      ...fail(`its last write to disk failed (${failed.join(', ')})`, 'check its log and its disk'),
    })
  else if (read('aof_enabled') === '1') findings.push({ part: persistence, ...ok('append-only file') })
  else
    findings.push({
      part: persistence,
      ...warn(
        'no append-only file: a restart loses what was accepted since the last snapshot',
        'CONFIG SET appendonly yes, and the same line in redis.conf',
      ),
    })
  return findings
}

export function judgeSkew(redisMs: number, now = Date.now()): Finding[] {
  const skew = Math.abs(now - redisMs)
  const finding =
    skew <= MAXIMUM_SKEW_MS
      ? ok('the same as here')
      : warn(
          `its clock and this one are ${Math.round(skew / 1_000)} s apart`,
          'synchronize both with NTP (timedatectl set-ntp true)',
        )
  return [{ part: 'redis clock', ...finding }]
}

/** The Redis that REDIS_URL names, or the private one that `npm start` would run. */
export async function checkRedis(config: Config): Promise<Finding[]> {
  if (config.redisUrl === undefined) return checkPrivate(config)
  const redis = openRedis({
    url: config.redisUrl,
    access: config.redisAccess,
    logger: createLogger('silent', 'doctor'),
    role: 'caller',
  })
  let lastError: (Error & { code?: string }) | undefined
  redis.on('error', (error: Error) => (lastError = error))
  try {
    const [info, time] = await within(DEADLINE_MS, 'Redis', Promise.all([redis.info(), readTime(redis)]))
    return [...judgeRedis(info), ...judgeSkew(time)]
  } catch (error) {
    // The driver's own text may name the address, with a password in it: only its code and Redis' own word are told.
    const known =
      error instanceof DeadlineError || lastError !== undefined ? lastError : (error as Error & { code?: string })
    const why = known?.code ?? /^(?:NOAUTH|WRONGPASS|NOPERM|LOADING|MISCONF)/.exec(known?.message ?? '')?.[0]
    const remedy =
      why === 'NOAUTH' || why === 'WRONGPASS' || why === 'NOPERM'
        ? 'correct user and password in REDIS_URL'
        : 'start Redis there, or correct the variable'
    return [{ part, ...fail(`REDIS_URL does not answer${why === undefined ? '' : ` (${why})`}`, remedy) }]
  } finally {
    closeRedis(redis)
  }
}
