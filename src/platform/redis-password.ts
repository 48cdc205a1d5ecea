import { randomBytes, randomUUID } from 'node:crypto'
import { constants, readFileSync } from 'node:fs'
import { access, link, rm, writeFile } from 'node:fs/promises'
import { ConfigError, type Config } from './config.js'

/** At the end of a URL that config.ts has made: who opens a connection reads the file, and no URL holds a secret. */
const SUFFIX = /[?&]password_file=([^&]*)$/

export const withoutPasswordFile = (url: string): string => url.replace(SUFFIX, '')

/** undefined: no file is named. @throws ConfigError where it cannot be read */
export function readRedisPassword(url: string): string | undefined {
  const name = SUFFIX.exec(url)?.[1]
  if (name === undefined) return undefined
  const path = decodeURIComponent(name)
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    // Safe: node:fs throws errno exceptions.
    const { code, message } = error as NodeJS.ErrnoException
    throw new ConfigError(
      `CC_EXECUTOR_REDIS_PASSWORD_FILE: ${path} cannot be read (${code ?? message}); the API makes it at its first start.`,
    )
  }
}

/**
 * Makes the password where there is none yet, for a Redis that waits for it (deployment/compose.yaml). It can be read
 * by every user of the containers that share its folder: Redis and workers are other users than the API.
 */
export async function makeRedisPassword({ redisPasswordFile: path }: Pick<Config, 'redisPasswordFile'>): Promise<void> {
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
