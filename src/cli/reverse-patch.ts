import { inflateSync } from 'node:zlib'
import { decodeBase85 } from '../platform/base85.js'

/** What a file was before a patch of one file, as the service writes it, to the byte. Texts are Latin-1: bytes. */

export interface Reversed {
  /** undefined: the patch does not tell it. */
  readonly before?: string
  /** The mode that it names for the time before. */
  readonly mode?: number
}

const HUNK = /^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@/

/** Each with its end of line; the last one may have none. */
const toLines = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? []

interface Line {
  readonly sign: string
  readonly text: string
}
interface Hunk {
  /** The index of its first line after the change. */
  readonly at: number
  readonly lines: Line[]
}

function readHunks(lines: readonly string[]): Hunk[] {
  const hunks: Hunk[] = []
  for (const line of lines) {
    const found = HUNK.exec(line)
    if (found) {
      // Where nothing is left of it, the number is that of the line before.
      hunks.push({ at: found[2] === '0' ? Number(found[1]) : Number(found[1]) - 1, lines: [] })
      continue
    }
    const hunk = hunks.at(-1)
    const last = hunk?.lines.pop()
    if (last && line.startsWith('\\')) hunk?.lines.push({ ...last, text: last.text.slice(0, -1) })
    else {
      if (last) hunk?.lines.push(last)
      hunk?.lines.push({ sign: line.charAt(0), text: line.slice(1) })
    }
  }
  return hunks
}

/** The second of its two contents is the former one. */
function readBinary(head: string): string | undefined {
  const [, second] = [...head.matchAll(/^literal (\d+)\n((?:[A-Za-z]\S+\n)*)/gm)]
  const bytes = second && decodeBase85((second[2] ?? '').split('\n').slice(0, -1))
  const length = Number(second?.[1])
  try {
    const content = bytes && inflateSync(bytes, { maxOutputLength: Math.max(1, length) })
    return content?.length === length ? content.toString('latin1') : undefined
  } catch {
    return undefined
  }
}

/** @param after '' of a file that was deleted */
export function reversePatch(patch: string, after: string): Reversed {
  const lines = toLines(patch)
  const first = lines.findIndex((line) => HUNK.test(line))
  const head = (first === -1 ? lines : lines.slice(0, first)).join('')
  const octal = /^(?:old mode|deleted file mode) 100(\d{3})$/m.exec(head)?.[1]
  const mode = octal === undefined ? {} : { mode: Number.parseInt(octal, 8) }
  if (!head.includes('diff --git ') || /^Binary files .* differ$/m.test(head)) return mode
  if (head.includes('\nGIT binary patch\n')) {
    const before = readBinary(head)
    return before === undefined ? mode : { ...mode, before }
  }
  const rest = toLines(after)
  const before: string[] = []
  let position = 0
  for (const hunk of first === -1 ? [] : readHunks(lines.slice(first))) {
    if (hunk.at < position || hunk.at > rest.length) return mode
    before.push(...rest.slice(position, hunk.at))
    position = hunk.at
    for (const { sign, text } of hunk.lines) {
      if (sign !== '-') {
        if (rest[position] !== text) return mode
        position += 1
      }
      if (sign !== '+') before.push(text)
    }
  }
  return { ...mode, before: [...before, ...rest.slice(position)].join('') }
}
