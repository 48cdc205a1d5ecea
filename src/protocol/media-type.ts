/**
 * What the Messages API takes as an image or a document. A file is what its bytes say, whatever it is called, and must
 * be whole: of half a file the API says only that it cannot be processed.
 */
export const MEDIA_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/pdf'] as const
export type MediaType = (typeof MEDIA_TYPES)[number]

export type Recognized =
  | { readonly kind: 'known'; readonly mediaType: MediaType }
  /** It begins as one of this type and ends before its end. */
  | { readonly kind: 'truncated'; readonly mediaType: MediaType }
  | { readonly kind: 'unknown' }

/** Within this file alone: what is exported takes what is there without Node.js too. */
const toBuffer = (content: Uint8Array) => Buffer.from(content.buffer, content.byteOffset, content.byteLength)
type Bytes = ReturnType<typeof toBuffer>

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
/** Readers look for a PDF's beginning and end in so many bytes. */
const PDF_MARGIN_BYTES = 1024

const startsWith = (bytes: Bytes, text: string, at = 0): boolean =>
  bytes.subarray(at, at + text.length).equals(Buffer.from(text, 'latin1'))

/** Chunks of length, name, data and checksum, up to IEND. */
function isWholePng(bytes: Bytes): boolean {
  for (let at = PNG.length; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at))
    if (startsWith(bytes, 'IEND', at + 4)) return true
  return false
}

/** Segments up to the first scan; then its end, which a preview in a segment before it does not count for. */
function isWholeJpeg(bytes: Bytes): boolean {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1] ?? 0
    if (marker === 0xda) return bytes.indexOf(Buffer.from([0xff, 0xd9]), at) > 0
    // Fill bytes before a marker.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2)
  }
  return false
}

/** After blocks of a length each, an empty one; undefined where the bytes end before it. */
function skipSubBlocks(bytes: Bytes, start: number): number | undefined {
  for (let at = start; at < bytes.length; at += 1 + (bytes[at] ?? 0)) if (bytes[at] === 0) return at + 1
  return undefined
}

const tableBytes = (flags = 0): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 0x07) + 1))

function isWholeGif(bytes: Bytes): boolean {
  let at: number | undefined = 13 + tableBytes(bytes[10])
  while (at !== undefined && at < bytes.length) {
    if (bytes[at] === 0x3b) return true
    if (bytes[at] === 0x21) at = skipSubBlocks(bytes, at + 2)
    else if (bytes[at] === 0x2c) at = skipSubBlocks(bytes, at + 11 + tableBytes(bytes[at + 9]))
    else return false
  }
  return false
}

const isWholeWebp = (bytes: Bytes): boolean => bytes.length >= 20 && bytes.readUInt32LE(4) + 8 <= bytes.length
const isPdf = (bytes: Bytes): boolean => bytes.subarray(0, PDF_MARGIN_BYTES).includes('%PDF-')
const isWholePdf = (bytes: Bytes): boolean => bytes.subarray(-PDF_MARGIN_BYTES).includes('%%EOF')

/** Looks at the content alone. */
export function recognizeMedia(content: Uint8Array): Recognized {
  const bytes = toBuffer(content)
  const judge = (mediaType: MediaType, isWhole: boolean): Recognized => ({
    kind: isWhole ? 'known' : 'truncated',
    mediaType,
  })
  if (bytes.subarray(0, PNG.length).equals(PNG)) return judge('image/png', isWholePng(bytes))
  if (startsWith(bytes, '\xff\xd8\xff')) return judge('image/jpeg', isWholeJpeg(bytes))
  if (startsWith(bytes, 'GIF87a') || startsWith(bytes, 'GIF89a')) return judge('image/gif', isWholeGif(bytes))
  if (startsWith(bytes, 'RIFF') && startsWith(bytes, 'WEBP', 8)) return judge('image/webp', isWholeWebp(bytes))
  if (isPdf(bytes)) return judge('application/pdf', isWholePdf(bytes))
  return { kind: 'unknown' }
}

/** What is wrong with a content that is said to be of a type; undefined: nothing. */
export function findMediaFault(bytes: Uint8Array, mediaType: MediaType): string | undefined {
  if (bytes.length === 0) return 'is empty'
  const found = recognizeMedia(bytes)
  if (found.kind === 'unknown') return `is none of ${MEDIA_TYPES.join(', ')}, by its content`
  if (found.mediaType !== mediaType) return `is ${found.mediaType} by its content, not ${mediaType}`
  return found.kind === 'truncated' ? `is not whole: it ends before the end of ${mediaType}` : undefined
}
