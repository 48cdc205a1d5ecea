import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError, type Config } from './config.js'
import { DeadlineError, within } from './abort-signals.js'
import { hideUserInfo } from './describe-config.js'
import { toRedisAddress } from './redis-address.js'
import { findMissingRight } from './redis-rights.js'
import { keyRoot } from './redis.js'

/**
 * With the process's own start this stays below five seconds; a Redis that is started at the same time may come up
 * meanwhile.
 */
const DEFAULT_WAIT_SECONDS = 3

const RETRY_MS = 100
/** What BullMQ recommends, and what our own scripts are tried on. */
const [MAJOR, MINOR] = [6, 2]

type RedisFault = Error & { code?: string }

/** What helps, by the code of a failed connection or the first word of Redis' refusal. */
const REMEDIES: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(?:NOAUTH|WRONGPASS)$/, 'correct the user and the password in it'],
  [/^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/, 'it does not use TLS: write redis://'],
  [
    /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(?:_LOCALLY)?))$/,
    'its certificate is signed by an unknown authority: set CC_EXECUTOR_REDIS_CA to the certificate of ' +
      'that authority',
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'its certificate is for another name: use that name'],
  [
    /^ERR_SSL_.*(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)$/,
    'it requires a client certificate: set CC_EXECUTOR_REDIS_CERT and CC_EXECUTOR_REDIS_KEY',
  ],
]
/** What a Redis does at the wrong protocol, without a word. */
const CUT = {
  plain: 'it closes the connection: if it requires TLS, write rediss://',
  tls:
    'it closes the connection: if it requires a client certificate, set CC_EXECUTOR_REDIS_CERT and ' +
    'CC_EXECUTOR_REDIS_KEY',
}
const START_ONE = 'start one there, or correct the variable; without it, cc-executor start runs a private one'

/** INFO, once the data are loaded. */
async function readInfo(redis: Redis): Promise<string> {
  for (;;) {
    const info = await redis.info()
    if (!/^loading:1/m.test(info)) return info
    await delay(RETRY_MS)
  }
}

/** What makes a Redis that answers unfit, as a sentence's end; undefined: nothing. */
async function findUnfit(redis: Redis, db: number, root: string): Promise<string | undefined> {
  const info = await readInfo(redis)
  const [, version = '0', major = '0', minor = '0'] = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(info) ?? []
  if (Number(major) < MAJOR || (Number(major) === MAJOR && Number(minor) < MINOR))
    return `it is version ${version}, and ${MAJOR}.${MINOR} or later is needed`
  if (/^role:slave/m.test(info)) return 'it is a read-only replica: use the primary'
  if (/^cluster_enabled:1/m.test(info))
    return 'it is a Redis Cluster, which is not supported: use a single Redis, or a primary with replicas'
  await redis.select(db)
  const right = await findMissingRight(redis, root)
  return right === undefined ? undefined : `its user may not ${right}: see deployment/README.md for the rights it needs`
}

function toSentence(
  error: RedisFault | undefined,
  address: string,
  { db, waited }: { db: number; waited: number },
): string {
  const isTls = address.startsWith('rediss://')
  const none = (why: string): string => `no Redis answers at ${address} (${why}): ${START_ONE}`
  const word = error?.code ?? /^[A-Z]{4,}(?= )/.exec(error?.message ?? '')?.[0]
  if (error === undefined)
    return isTls
      ? `${address}: no response for ${waited} s; this happens if Redis does not use TLS: then write redis://`
      : none(`no response for ${waited} s`)
  if (/DB index is out of range/.test(error.message))
    return `${address} has no database ${db}: choose another one, or raise "databases" there`
  if (word === undefined) return none(error.message)
  if (word === 'ECONNRESET') return `${address}: ${isTls ? CUT.tls : CUT.plain} (${word})`
  if (word === 'NOPERM') {
    const [, command = 'connect'] = /run the '([\w|]+)' command/.exec(error.message) ?? []
    return (
      `${address}: its user may not send ${command.toUpperCase()} (+${command}): see deployment/README.md ` +
      'for the rights it needs'
    )
  }
  const remedy = REMEDIES.find(([pattern]) => pattern.test(word))?.[1]
  return remedy === undefined ? none(word) : `${address}: ${remedy} (${word})`
}

/**
 * Waits for Redis' first answer, on a connection of its own, and looks whether it will do: a primary, no cluster, the
 * database that is asked for, every right. What is lost later is survived. @throws ConfigError with the remedy
 */
export async function requireRedis({
  redisUrl: url,
  redisAccess,
  redisWaitSeconds = DEFAULT_WAIT_SECONDS,
  prefix,
}: {
  redisUrl: string
  redisAccess?: Config['redisAccess'] | undefined
  redisWaitSeconds?: number
  prefix: string
}): Promise<void> {
  const { db = 0, ...address } = toRedisAddress(url, redisAccess)
  let lastError: RedisFault | undefined
  const redis = new Redis({
    ...address,
    // Our own question, as the driver's prints a line of its own where INFO is refused.
    enableReadyCheck: false,
    retryStrategy: () => RETRY_MS,
    maxRetriesPerRequest: null,
  })
  // What is wrong with a certificate is as wrong at the next attempt.
  const hopeless = new Promise<never>((_, reject) => {
    redis.on('error', (error: RedisFault) => {
      lastError = error
      if (REMEDIES.some(([pattern]) => pattern.test(error.code ?? ''))) reject(error)
    })
  })
  const shown = hideUserInfo(url)
  let trouble: string | undefined
  try {
    const unfit = await within(
      redisWaitSeconds * 1_000,
      'Redis',
      Promise.race([findUnfit(redis, db, keyRoot(prefix)), hopeless]),
    )
    trouble = unfit && `${shown}: ${unfit}`
  } catch (error) {
    // Safe: the driver rejects with errors.
    trouble = toSentence(error instanceof DeadlineError ? lastError : (error as RedisFault), shown, {
      db,
      waited: redisWaitSeconds,
    })
  } finally {
    redis.disconnect()
  }
  if (trouble !== undefined) throw new ConfigError(`REDIS_URL: ${trouble}.`)
}
