import { createHash } from 'node:crypto'

export const sha256Bytes = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest()

/** In lower-case hex, as receipts, ETags and listings write it. */
export const sha256 = (data: string | Buffer): string => sha256Bytes(data).toString('hex')
