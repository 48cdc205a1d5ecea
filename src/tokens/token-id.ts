import { randomBytes, timingSafeEqual } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { sha256Bytes } from '../platform/hash.js'

const SECRET = /^cce_([0-9a-f]{32})_[\w-]{43}$/

export interface MintedToken {
  readonly id: string
  readonly secret: string
}

/** Ids sort by their time. The secret names its token, so that one look-up by key finds it; 256 bits are random. */
export function mintToken(): MintedToken {
  const hex = uuidv7().replaceAll('-', '')
  return { id: `tok_${hex}`, secret: `cce_${hex}_${randomBytes(32).toString('base64url')}` }
}

/** The id of the token that a secret says it is; undefined where it cannot be one of ours. */
export function toTokenId(secret: string): string | undefined {
  const hex = SECRET.exec(secret)?.[1]
  return hex === undefined ? undefined : `tok_${hex}`
}

export const isTokenId = (text: string): boolean => /^tok_[0-9a-f]{32}$/.test(text)

export const isSecretOf = (secret: string, digest: Buffer): boolean => timingSafeEqual(sha256Bytes(secret), digest)
