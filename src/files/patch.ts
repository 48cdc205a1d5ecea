import { createHash } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { structuredPatch } from 'diff'
import { encodeBase85 } from '../platform/base85.js'

/** A larger file is told as different, without its lines. */
export const PATCH_FILE_BYTES = 256 * 1024
/** Two texts that have nothing in common take long to compare; then one is written after the other. */
const COMPARE_MS = 100

/** One state of a file; `bytes` is absent where nobody has them. */
export interface FileState {
  readonly bytes?: Buffer
  readonly mode: number
  /** Then the bytes are its target. */
  readonly isLink?: boolean
}

/** As git tells text from the rest, over all of it: no NUL. */
export const isText = (bytes: Buffer): boolean => !bytes.includes(0)

/** Names that would break a header's line are written as git writes them. */
function quote(name: string): string {
  if (!/[\p{Cc}"\\]/u.test(name)) return name
  const escaped = name
    .replace(/["\\]/g, '\\$&')
    .replace(/\p{Cc}/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join(''),
    )
  return `"${escaped}"`
}

const toGitMode = ({ mode, isLink }: FileState): string =>
  isLink === true ? '120000' : (mode & 0o100) === 0 ? '100644' : '100755'

const toLines = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))
const NO_NEWLINE = '\\ No newline at end of file'

function toSide(sign: '-' | '+', text: string): string[] {
  const lines = toLines(text).map((line) => `${sign}${line}`)
  return text === '' || text.endsWith('\n') ? lines : [...lines, NO_NEWLINE]
}

/** Everything goes, everything comes. */
function toWholeHunk(before: string, after: string): string[] {
  const range = (text: string): string => (text === '' ? '0,0' : `1,${toLines(text).length}`)
  return [`@@ -${range(before)} +${range(after)} @@`, ...toSide('-', before), ...toSide('+', after)]
}

function toHunks(before: string, after: string): string[] {
  if (before === after) return []
  if (before === '' || after === '') return toWholeHunk(before, after)
  const patch = structuredPatch('a', 'b', before, after, undefined, undefined, { context: 3, timeout: COMPARE_MS })
  if (!patch) return toWholeHunk(before, after)
  return patch.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`,
    ...lines,
  ])
}

/** The name of a content in a repository; `git apply` holds a binary file against it before it touches the file. */
const toBlobId = (bytes: Buffer | undefined): string =>
  bytes === undefined ? '0'.repeat(40) : createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

const toLiteral = (bytes: Buffer): string[] => [`literal ${bytes.length}`, ...encodeBase85(deflateSync(bytes)), '']

/** Forwards and backwards, each as a whole, as `git diff --binary` writes files that are not text. */
function toBinaryPatch(before: FileState | undefined, after: FileState | undefined): string[] {
  const mode = before && after && toGitMode(before) === toGitMode(after) ? ` ${toGitMode(after)}` : ''
  return [
    `index ${toBlobId(before?.bytes)}..${toBlobId(after?.bytes)}${mode}`,
    'GIT binary patch',
    ...toLiteral(after?.bytes ?? Buffer.alloc(0)),
    ...toLiteral(before?.bytes ?? Buffer.alloc(0)),
  ]
}

/** Why it cannot be told; undefined where it can. */
function findObstacle(states: ReadonlyArray<FileState | undefined>): string | undefined {
  const present = states.filter((state) => state !== undefined)
  if (present.some(({ bytes }) => bytes === undefined)) return 'its content was not kept'
  if (present.some(({ bytes }) => bytes && bytes.length > PATCH_FILE_BYTES))
    return `it is larger than ${PATCH_FILE_BYTES} bytes`
  return undefined
}

/** In place of a patch that no tool could apply: tools skip it, and apply what comes after. */
export function toOmission(path: string, ...states: ReadonlyArray<FileState | undefined>): Buffer | undefined {
  const obstacle = findObstacle(states)
  return obstacle === undefined ? undefined : toRemark(path, obstacle)
}

export const toRemark = (path: string, why: string): Buffer => Buffer.from(`# ${quote(path)}: omitted, ${why}\n`)

/**
 * What happened to a file, as `git apply` and `patch -p1` read it: created where there is no `before`, deleted where
 * there is no `after`.
 * What nobody has is told as different, which no tool applies without a word.
 */
export function toPatch(path: string, before: FileState | undefined, after: FileState | undefined): Buffer {
  // One goes and another one comes, as git writes it.
  if (before && after && before.isLink !== after.isLink)
    return Buffer.concat([toPatch(path, before, undefined), toPatch(path, undefined, after)])
  const [from, to] = [quote(`a/${path}`), quote(`b/${path}`)]
  const head = [`diff --git ${from} ${to}`]
  if (!before && after) head.push(`new file mode ${toGitMode(after)}`)
  if (before && !after) head.push(`deleted file mode ${toGitMode(before)}`)
  if (before && after && toGitMode(before) !== toGitMode(after))
    head.push(`old mode ${toGitMode(before)}`, `new mode ${toGitMode(after)}`)
  const [fromLine, toLine] = [before ? from : '/dev/null', after ? to : '/dev/null']
  const obstacle = findObstacle([before, after])
  if (obstacle !== undefined) {
    head.unshift(`# ${quote(path)}: no lines are shown, ${obstacle}`)
    return Buffer.from(`${[...head, `Binary files ${fromLine} and ${toLine} differ`].join('\n')}\n`)
  }
  const isBinary = [before, after].some((state) => state?.bytes && !isText(state.bytes))
  const isSame = before?.bytes !== undefined && after?.bytes?.equals(before.bytes) === true
  if (isBinary && !isSame) return Buffer.from(`${[...head, ...toBinaryPatch(before, after)].join('\n')}\n`)
  // Latin-1 takes every byte as it is and gives it back, whatever the text's encoding.
  const hunks = toHunks(before?.bytes?.toString('latin1') ?? '', after?.bytes?.toString('latin1') ?? '')
  if (hunks.length === 0) return Buffer.from(`${head.join('\n')}\n`)
  // A name with a space ends with a tab, so that the tools find its end.
  const tab = path.includes(' ') ? '\t' : ''
  head.push(`--- ${fromLine}${before ? tab : ''}`, `+++ ${toLine}${after ? tab : ''}`)
  return Buffer.concat([Buffer.from(`${head.join('\n')}\n`), Buffer.from(`${hunks.join('\n')}\n`, 'latin1')])
}
