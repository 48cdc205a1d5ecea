import { contentType } from 'mime-types'

/** What a browser may show by itself; everything else is saved. */
const SHOWN: ReadonlySet<string> = new Set(
  'txt md csv log json jsonl yaml yml ts py diff patch png jpg jpeg gif webp'.split(' '),
)
const PLAIN = 'text/plain; charset=utf-8'
const DIFF = 'text/x-diff; charset=utf-8'
/** Extensions that mime-types does not know, means otherwise (`ts` is a video there) or types as no browser shows. */
const OWN_TYPES: ReadonlyMap<string, string> = new Map([
  ['jsonl', 'application/x-ndjson; charset=utf-8'],
  ['yaml', PLAIN],
  ['yml', PLAIN],
  ['ts', PLAIN],
  ['py', PLAIN],
  ['diff', DIFF],
  ['patch', DIFF],
])

/** By the name alone: the content is an agent's and is not looked at. */
export function toMediaType(path: string): { readonly type: string; readonly isSafe: boolean } {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''
  const type = OWN_TYPES.get(extension) ?? (contentType(extension) || 'application/octet-stream')
  return { type, isSafe: SHOWN.has(extension) }
}
