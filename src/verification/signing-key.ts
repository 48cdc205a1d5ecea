import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto'
import { chmod, link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../platform/config.js'
import { sha256Bytes } from '../platform/hash.js'
import { makeFolder } from '../platform/make-folder.js'
import { PublicJwk } from '../protocol/receipt.js'

/** In the data folder; of everything that its processes vouch with. */
export const KEY_FOLDER = 'receipt-keys'
const PRIVATE_FILE = 'signing-key.pem'
const PUBLIC_SUFFIX = '.public.json'

/** What a process signs its receipts with. */
export interface SigningKey {
  readonly jwk: PublicJwk
  /** Ed25519, base64url. */
  sign(text: string): string
}

/** RFC 7638: the name of a public key is the hash of its required members in canonical JSON. */
export const toKeyId = (x: string): string =>
  sha256Bytes(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).toString('base64url')

const toPublicJwk = (x: string): PublicJwk => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x,
  kid: toKeyId(x),
  use: 'sig',
  alg: 'EdDSA',
})

/** Base64url has spare bits at its end, which decoding ignores: only the one right spelling counts. */
function decodeExactly(text: string, bytes: number): Buffer | undefined {
  const decoded = Buffer.from(text, 'base64url')
  return decoded.length === bytes && decoded.toString('base64url') === text ? decoded : undefined
}

/** false as well where key or signature are not even of the right form. */
export function verifySignature(x: string, text: string, signature: string): boolean {
  const value = decodeExactly(signature, 64)
  if (!value || !decodeExactly(x, 32)) return false
  try {
    return verify(
      null,
      Buffer.from(text),
      createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
      value,
    )
  } catch {
    return false // 32 bytes that are no point of the curve
  }
}

/** A file appears whole or not at all, also where the disk is full. */
async function writeWhole(
  path: string,
  content: string | Buffer,
  mode: number,
  place: (draft: string, path: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, content, { mode, flag: 'wx' })
    await place(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Several processes may start at once: the first file stands. */
const makePrivateFile = (path: string, content: string | Buffer): Promise<void> =>
  writeWhole(path, content, 0o600, (draft) =>
    link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    }),
  )

/** A secret of this data folder, made where there is none yet. */
export async function keepPrivateFile(path: string, make: () => string | Buffer): Promise<Buffer> {
  const content = await readFile(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    await makePrivateFile(path, make())
    return readFile(path)
  })
  // A copy from elsewhere may have come with wider permissions.
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600)
  return content
}

const makePem = (): string | Buffer =>
  generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' })

/** Touched only where it is not there yet: a service whose disk is full starts all the same. */
async function keepPublicFile(path: string, jwk: PublicJwk): Promise<void> {
  const text = `${JSON.stringify(jwk)}\n`
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== text) await writeWhole(path, text, 0o644, rename)
}

async function readPrivateKey(path: string): Promise<KeyObject> {
  const key = createPrivateKey(await keepPrivateFile(path, makePem))
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is not an Ed25519 key')
  return key
}

/**
 * The key of this data folder, made at the first start. To rotate, delete `receipt-keys/signing-key.pem` and start
 * again: a new one is made, and the old public half stays beside it. @throws ConfigError naming the file
 */
export async function openSigningKey(dataDir: string): Promise<SigningKey> {
  const folder = join(dataDir, KEY_FOLDER)
  const path = join(folder, PRIVATE_FILE)
  try {
    await makeFolder(folder, 0o700)
    const key = await readPrivateKey(path)
    const { x = '' } = createPublicKey(key).export({ format: 'jwk' })
    const jwk = toPublicJwk(x)
    await keepPublicFile(join(folder, `${jwk.kid}${PUBLIC_SUFFIX}`), jwk)
    return {
      jwk,
      sign: (text) => sign(null, Buffer.from(text), key).toString('base64url'),
    }
  } catch (error) {
    throw toKeyError(`The key for receipts, ${path},`, error)
  }
}

/** `what` begins the sentence. */
export function toKeyError(what: string, error: unknown): ConfigError {
  // Safe: both are only looked at.
  const { message, syscall } = error as Partial<NodeJS.ErrnoException>
  // What the disk refuses is no fault of the key.
  const remedy =
    syscall === undefined
      ? 'delete it to create a new one'
      : 'make sure that its folder is readable and writable and that the disk is not full'
  return new ConfigError(`${what} cannot be used (${message ?? String(error)}); ${remedy}.`)
}

/** The public keys that this data folder has had; none where there is no folder. */
export async function readPublicKeys(dataDir: string): Promise<PublicJwk[]> {
  const folder = join(dataDir, KEY_FOLDER)
  const names = await readdir(folder).catch(() => [])
  const texts = await Promise.all(
    names.filter((name) => name.endsWith(PUBLIC_SUFFIX)).map((name) => readFile(join(folder, name), 'utf8')),
  )
  return texts.flatMap((text) => parsePublicKey(text) ?? [])
}

/** undefined where it is no public key of ours, or bears another's name. */
export function parsePublicKey(text: string): PublicJwk | undefined {
  try {
    const jwk = PublicJwk.parse(JSON.parse(text))
    return jwk.kid === toKeyId(jwk.x) ? jwk : undefined
  } catch {
    return undefined
  }
}
