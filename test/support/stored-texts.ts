import { inflateSync } from 'node:zlib'
import type { Redis } from 'ioredis'

const ZLIB = 0x78

/** Files, receipts and short logs are packed; a text may begin like one that is. */
function toText(value: Buffer): string {
  if (value[0] !== ZLIB) return value.toString()
  try {
    return inflateSync(value).toString()
  } catch {
    return value.toString()
  }
}

/** Every value of every hash, string and stream, as whoever reads it sees it. */
export async function readStoredTexts(redis: Redis): Promise<string[]> {
  const texts: string[] = []
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key)
    if (type === 'hash')
      for (const [field, value] of Object.entries(await redis.hgetallBuffer(key)))
        texts.push(`${key} ${field} ${toText(value)}`)
    if (type === 'string') texts.push(`${key} ${toText((await redis.getBuffer(key)) ?? Buffer.alloc(0))}`)
    if (type === 'stream')
      for (const [, fields] of await redis.xrangeBuffer(key, '-', '+'))
        texts.push(`${key} ${fields.map(toText).join(' ')}`)
  }
  return texts
}
