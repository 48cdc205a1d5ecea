/** Texts in pieces of so many bytes, never through the middle of a character. */

/** `text` again and again: `bytes` of it, or up to three less where a character would not fit. */
export function repeatToBytes(text: string, bytes: number): Buffer {
  const filled = Buffer.alloc(bytes, text)
  return filled.subarray(0, characterBoundary(bytes, text))
}

/** Pieces of at most `chunkBytes`, or of one character where that is longer. */
export function* chunksOf(text: Buffer, chunkBytes: number): Generator<string> {
  let start = 0
  while (start < text.length) {
    let end = Math.min(start + chunkBytes, text.length)
    while (end > start && isInsideCharacter(text, end)) end -= 1
    if (end === start) {
      end += 1
      while (isInsideCharacter(text, end)) end += 1
    }
    yield text.toString('utf8', start, end)
    start = end
  }
}

function isInsideCharacter(text: Buffer, index: number): boolean {
  const byte = text[index]
  return byte !== undefined && (byte & 0xc0) === 0x80
}

// Where the repetition was cut: the next byte would be the pattern's at that place.
function characterBoundary(end: number, pattern: string): number {
  const bytes = Buffer.from(pattern)
  let at = end % bytes.length
  let boundary = end
  while (boundary > 0 && isInsideCharacter(bytes, at)) {
    at -= 1
    boundary -= 1
  }
  return boundary
}
