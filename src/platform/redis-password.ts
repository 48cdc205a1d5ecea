import { randomBytes, randomUUID } from 'node:crypto'
import { constants, readFileSync } from 'node:fs'
import { access, link, rm, writeFile } from 'node:fs/promises'
import { ConfigError, type Config } from './config.js'

/** undefined: no file is named. @throws ConfigError where it cannot be read */
export function readRedisPassword({ passwordFile: path }: Config['redisAccess']): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    // Safe: node:fs throws errno exceptions.
    const { code, message } = error as NodeJS.ErrnoException
    throw new ConfigError(
      `CC_EXECUTOR_REDIS_PASSWORD_FILE: ${path} cannot be read (${code ?? message}); the API creates it at ` +
        'its first start.',
    )
  }
}

/**
 * Makes the password where there is none yet, for a Redis that waits for it (deployment/compose.yaml). It can be read
 * by every user of the containers that share its folder: Redis and workers are other users than the API.
 */
export async function makeRedisPassword({
  redisAccess: { passwordFile: path },
}: Pick<Config, 'redisAccess'>): Promise<void> {
  if (path === undefined) return
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o444, flag: 'wx' })
    // It appears whole, and the first one stands.
    await link(draft, path)
  } catch (error) {
    // Safe: node:fs rejects with errno exceptions.
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    // Somebody else's, in a folder that is not ours to write.
    if (await isReadable(path)) return
    throw new ConfigError(`CC_EXECUTOR_REDIS_PASSWORD_FILE: ${path} cannot be written (${code ?? message}).`)
  } finally {
    await rm(draft, { force: true })
  }
}

const isReadable = (path: string): Promise<boolean> =>
  access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
