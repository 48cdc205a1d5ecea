import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import { sha256Bytes } from '../platform/hash.js'
import { makeFolder } from '../platform/make-folder.js'
import { KEY_FOLDER, keepPrivateFile, toKeyError } from './signing-key.js'

const FILE = 'grant-key'
const BYTES = 32
/** Tells its name from that of a public key. */
const NAME_PREFIX = 'hmac-'

/**
 * What the processes of one data folder vouch with to each other: a secret that all of them can read, since nobody else
 * is to check it. A signature for others costs ten times as much.
 */
export interface GrantKey {
  /** Its name, which does not tell what it is. */
  readonly kid: string
  /** HMAC-SHA-256, base64url. */
  seal(text: string): string
  fits(text: string, seal: string): boolean
}

/**
 * The secret of this data folder, made at the first start. Deleted, another one is made, and what waits in the queue of
 * a Redis in this folder is refused. @throws ConfigError naming the file
 */
export async function openGrantKey(dataDir: string): Promise<GrantKey> {
  const folder = join(dataDir, KEY_FOLDER)
  const path = join(folder, FILE)
  try {
    await makeFolder(folder, 0o700)
    const secret = await keepPrivateFile(path, () => randomBytes(BYTES))
    if (secret.length !== BYTES) throw new Error(`it has ${secret.length} bytes, not ${BYTES}`)
    const key = createSecretKey(secret)
    const digest = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
    const kid = NAME_PREFIX + sha256Bytes(Buffer.concat([Buffer.from(NAME_PREFIX), secret])).toString('base64url')
    return {
      kid,
      seal: (text) => digest(text).toString('base64url'),
      fits(text, seal) {
        const expected = digest(text)
        const given = Buffer.from(seal, 'base64url')
        return given.length === expected.length && timingSafeEqual(given, expected)
      },
    }
  } catch (error) {
    throw toKeyError(`The key for the rights of queued executions, ${path},`, error)
  }
}
