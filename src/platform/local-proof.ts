/**
 * That a caller is the user of the service, on its machine: he can read a secret in the data folder, which no run and
 * no other user can. It is never sent; what is sent proves that it was read, for one folder and for a minute.
 */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { machineId } from './folder-identity.js'

const pathOf = (dataDir: string): string => join(dataDir, 'local-secret')
const AGE_LIMIT_MS = 60_000

export interface LocalClaim {
  /** Absolute, links resolved. */
  readonly folder: string
  /** As the caller's own system names it: the same numbers mean the same folder, so the same machine. */
  readonly device: string
  readonly inode: string
  /** Milliseconds since 1970. */
  readonly issuedAt: number
}

/** The secret of a data folder; undefined where there is none that this user can read. */
export async function readLocalSecret(dataDir: string): Promise<string | undefined> {
  return (await readFile(pathOf(dataDir), 'utf8').catch(() => '')).trim() || undefined
}

/** Makes it where there is none; of two processes that start at once the first one's stands. */
export async function makeLocalSecret(dataDir: string): Promise<void> {
  if ((await readLocalSecret(dataDir)) !== undefined) return
  const draft = `${pathOf(dataDir)}.${randomUUID()}`
  try {
    await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    await link(draft, pathOf(dataDir)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
}

export function proveLocal(secret: string, { folder, device, inode, issuedAt }: LocalClaim): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify(['admit', machineId(), folder, device, inode, issuedAt]))
    .digest('hex')
}

export function isProvenLocal(secret: string, claim: LocalClaim, proof: string, now: number): boolean {
  const [expected, given] = [Buffer.from(proveLocal(secret, claim)), Buffer.from(proof)]
  return (
    Math.abs(now - claim.issuedAt) <= AGE_LIMIT_MS &&
    expected.length === given.length &&
    timingSafeEqual(expected, given)
  )
}
