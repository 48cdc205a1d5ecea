/** Bytes as git writes them into a binary patch: lines of up to 52 bytes, each behind a letter for its length. */

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~'
const LINE_BYTES = 52
const LETTERS = 26

const toLength = (count: number): string => String.fromCharCode(count <= LETTERS ? 64 + count : 96 + count - LETTERS)
const fromLength = (letter: number): number => (letter >= 97 ? letter - 96 + LETTERS : letter - 64)

export function encodeBase85(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let start = 0; start < bytes.length; start += LINE_BYTES) {
    const part = Buffer.from(bytes.subarray(start, start + LINE_BYTES))
    const padded = Buffer.alloc(Math.ceil(part.length / 4) * 4)
    part.copy(padded)
    let line = toLength(part.length)
    for (let at = 0; at < padded.length; at += 4) {
      let value = padded.readUInt32BE(at)
      let digits = ''
      for (let digit = 0; digit < 5; digit += 1) {
        digits = ALPHABET.charAt(value % 85) + digits
        value = Math.floor(value / 85)
      }
      line += digits
    }
    lines.push(line)
  }
  return lines
}

/** undefined where it is none. */
export function decodeBase85(lines: readonly string[]): Buffer | undefined {
  const parts: Buffer[] = []
  for (const line of lines) {
    const length = fromLength(line.charCodeAt(0))
    if (line.length !== 1 + Math.ceil(length / 4) * 5 || length < 1 || length > LINE_BYTES) return undefined
    const part = Buffer.alloc(Math.ceil(length / 4) * 4)
    for (let at = 0; at < part.length; at += 4) {
      let value = 0
      for (const digit of line.slice(1 + (at / 4) * 5, 6 + (at / 4) * 5)) {
        const index = ALPHABET.indexOf(digit)
        if (index === -1) return undefined
        value = value * 85 + index
      }
      if (value > 0xffff_ffff) return undefined
      part.writeUInt32BE(value, at)
    }
    parts.push(part.subarray(0, length))
  }
  return Buffer.concat(parts)
}
