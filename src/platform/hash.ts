import { hash } from 'node:crypto'

export const sha256Bytes = (data: string | Buffer): Buffer => hash('sha256', data, 'buffer')

/** In lower-case hex, as receipts, ETags and listings write it. */
export const sha256 = (data: string | Buffer): string => hash('sha256', data)
