import { createHash, type Hash } from 'node:crypto'
import { createMemberScan, type MemberScan } from './scan-members.js'

export type Line =
  /** Without its line feed; a carriage return stays. The bytes may be a view on the chunk: decode them soon. */
  | { readonly kind: 'line'; readonly bytes: Buffer }
  /**
   * Longer than the limit: hashed and dropped while it streamed by. `members`: of a JSON object, what is short enough
   * to be kept, wherever it stands.
   */
  | {
      readonly kind: 'oversized'
      readonly length: number
      readonly sha256: string
      readonly limit: number
      readonly members?: Readonly<Record<string, unknown>>
    }

export interface LineSplitter {
  push(chunk: Buffer): Line[]
  /** What follows the last line feed, if anything does. */
  end(): Line[]
}

const LINE_FEED = 0x0a
const FIRST_CAPACITY = 64 * 1024

/** Holds at most `maxLineBytes` (and, while it grows, twice that) of a line which has begun. */
export function createLineSplitter({ maxLineBytes }: { readonly maxLineBytes: number }): LineSplitter {
  /** The line that has begun; its capacity doubles, so that appending stays linear whatever the chunks' size. */
  let pending = Buffer.alloc(0)
  let pendingLength = 0
  let dropped: { readonly hash: Hash; readonly scan: MemberScan; length: number } | undefined

  function keepPart(part: Buffer): void {
    if (dropped === undefined && pendingLength + part.length > maxLineBytes) startDropping()
    if (dropped !== undefined) {
      dropped.hash.update(part)
      dropped.scan.push(part)
      dropped.length += part.length
      return
    }
    const needed = pendingLength + part.length
    if (needed > pending.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(Math.max(needed, pending.length * 2, FIRST_CAPACITY), Math.max(needed, maxLineBytes)),
      )
      pending.copy(grown, 0, 0, pendingLength)
      pending = grown
    }
    part.copy(pending, pendingLength)
    pendingLength = needed
  }

  function startDropping(): void {
    const begun = pending.subarray(0, pendingLength)
    dropped = { hash: createHash('sha256').update(begun), scan: createMemberScan(), length: pendingLength }
    dropped.scan.push(begun)
    forget()
  }

  function forget(): void {
    pending = Buffer.alloc(0)
    pendingLength = 0
  }

  function finish(): Line {
    if (dropped !== undefined) {
      const { hash, length, scan } = dropped
      dropped = undefined
      const members = scan.members()
      return { kind: 'oversized', length, sha256: hash.digest('hex'), limit: maxLineBytes, members }
    }
    const bytes = pending.subarray(0, pendingLength)
    forget() // the line now belongs to the caller
    return { kind: 'line', bytes }
  }

  return {
    push(chunk) {
      const lines: Line[] = []
      let start = 0
      for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
        const isWhole = pendingLength === 0 && dropped === undefined && end - start <= maxLineBytes
        if (isWhole) {
          lines.push({ kind: 'line', bytes: chunk.subarray(start, end) })
        } else {
          keepPart(chunk.subarray(start, end))
          lines.push(finish())
        }
        start = end + 1
      }
      if (start < chunk.length) keepPart(chunk.subarray(start))
      return lines
    },
    end() {
      return pendingLength > 0 || dropped !== undefined ? [finish()] : []
    },
  }
}
