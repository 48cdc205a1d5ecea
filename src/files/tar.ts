const BLOCK = 512
/** What the ustar header holds of a name. */
const NAME_BYTES = 100

export interface TarEntry {
  /** Relative, with `/`. */
  readonly path: string
  readonly size: number
  readonly mode: number
  /** Exactly `size` bytes. */
  readonly content: () => AsyncIterable<Buffer>
}

const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)

/** POSIX ustar. Nobody owns the files and nobody wrote them at any time: the same files make the same archive. */
function toHeader(name: Buffer, { size, mode, type }: { size: number; mode: number; type: '0' | 'x' }): Buffer {
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, offset: number, length: number): number =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1')
  name.copy(header, 0, 0, NAME_BYTES)
  octal(mode & 0o777, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  header.write('        ', 148, 'latin1')
  header.write(type, 156, 'latin1')
  header.write('ustar\u000000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** A record of a pax header counts its own length, digits included. */
function toPaxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  if (String(length).length !== String(rest).length) length += 1
  return Buffer.from(`${length} ${key}=${value}\n`)
}

/** A name that is long, or no ASCII, stands in a pax header before the file's own. */
function* toNamedHeader({ path, size, mode }: TarEntry): Generator<Buffer> {
  const name = Buffer.from(path)
  if (name.length > NAME_BYTES || name.some((byte) => byte > 0x7e)) {
    const record = toPaxRecord('path', path)
    yield Buffer.concat([
      toHeader(Buffer.from('PaxHeader'), { size: record.length, mode: 0o644, type: 'x' }),
      record,
      padding(record.length),
    ])
  }
  yield toHeader(name, { size, mode, type: '0' })
}

/** A tar archive, a piece at a time. */
export async function* writeTar(entries: Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield* toNamedHeader(entry)
    yield* entry.content()
    yield padding(entry.size)
  }
  yield Buffer.alloc(2 * BLOCK)
}
