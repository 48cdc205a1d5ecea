import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const RANDOM_BYTES = 16
/** Random bytes for so many ids are fetched at once: a call of the kernel's generator costs more than an id. */
const pool = Buffer.alloc(RANDOM_BYTES * 256)
let used = pool.length

function takeRandom(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += RANDOM_BYTES
  return pool.subarray(used - RANDOM_BYTES, used)
}

let sequence = 0
/** A UUIDv7. Ids of one time stand in the order in which this process made them. */
export function mintUuid(milliseconds: number): string {
  sequence = (sequence + 1) >>> 0
  return v7({ msecs: milliseconds, seq: sequence, random: takeRandom() })
}
