import { readFileSync } from 'node:fs'
import type { RedisOptions } from 'ioredis'
import { ConfigError } from './config.js'
import { RedisConnector } from './redis-connector.js'
import { readRedisPassword } from './redis-password.js'
import type { RedisAccess } from './redis-url.js'

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
  return {
    ...(ca !== undefined && { ca: readPem('CC_EXECUTOR_REDIS_CA', ca) }),
    ...(cert !== undefined && { cert: readPem('CC_EXECUTOR_REDIS_CERT', cert) }),
    ...(key !== undefined && { key: readPem('CC_EXECUTOR_REDIS_KEY', key) }),
  }
}

/**
 * Where Redis is, for ioredis and BullMQ alike; `unix:///path` is a socket. The file of a password is read at each
 * call.
 * @throws ConfigError
 */
export function toRedisAddress(url: string, access: RedisAccess = {}): RedisOptions {
  const fromFile = readRedisPassword(access)
  const secret = fromFile === undefined ? {} : { password: fromFile }
  if (url.startsWith('unix://')) return { path: url.slice('unix://'.length), ...secret }
  const { protocol, hostname, port, username, password, pathname } = new URL(url)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? DEFAULT_PORT : Number(port),
    Connector: RedisConnector,
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password === '' ? secret : { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: toTlsOptions(access) }),
  }
}
