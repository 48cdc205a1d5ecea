import { readFileSync } from 'node:fs'
import type { RedisOptions } from 'ioredis'
import { ConfigError } from './config.js'
import { RedisConnector } from './redis-connector.js'
import { readRedisPassword } from './redis-password.js'
import { socketOf, type RedisAccess } from './redis-url.js'
import { definedFields } from '../protocol/defined-fields.js'

const DEFAULT_PORT = 6379

function readPem(variable: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    // Safe: readFileSync throws errno exceptions.
    throw new ConfigError(`${variable}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}

/** @throws ConfigError naming the variable whose file cannot be read */
function toTlsOptions({ ca, cert, key }: RedisAccess): NonNullable<RedisOptions['tls']> {
  return definedFields({
    ca: ca === undefined ? undefined : readPem('CC_EXECUTOR_REDIS_CA', ca),
    cert: cert === undefined ? undefined : readPem('CC_EXECUTOR_REDIS_CERT', cert),
    key: key === undefined ? undefined : readPem('CC_EXECUTOR_REDIS_KEY', key),
  })
}

/**
 * Where Redis is, for ioredis and BullMQ alike; `unix:///path` is a socket. The file of a password is read at each
 * call.
 * @throws ConfigError
 */
export function toRedisAddress(url: string, access: RedisAccess = {}): RedisOptions {
  const fromFile = readRedisPassword(access)
  const path = socketOf(url)
  if (path !== undefined) return definedFields({ path, password: fromFile })
  const { protocol, hostname, port, username, password, pathname } = new URL(url)
  return definedFields({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? DEFAULT_PORT : Number(port),
    Connector: RedisConnector,
    username: username === '' ? undefined : decodeURIComponent(username),
    password: password === '' ? fromFile : decodeURIComponent(password),
    db: pathname.length > 1 ? Number(pathname.slice(1)) : undefined,
    tls: protocol === 'rediss:' ? toTlsOptions(access) : undefined,
  })
}
