import { constants } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { pack, type Pack } from 'tar-stream'

export interface TarEntry {
  /** Relative, with `/`. */
  readonly path: string
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** Exactly `size` bytes. */
  readonly content: () => AsyncIterable<Buffer>
}

/** No owner and no time is written: the same files make the same archive. */
const NO_TIME = new Date(0)

async function fill(archive: Pack, entries: Iterable<TarEntry>): Promise<void> {
  for (const { path, size, mode, content } of entries) {
    // The type keeps a mode of 0 from being taken for none, which tar-stream replaces by 0644.
    const header = { name: path, size, mode: constants.S_IFREG | (mode & 0o777), type: 'file', mtime: NO_TIME } as const
    await pipeline(content(), archive.entry(header))
  }
  archive.finalize()
}

/** A tar archive, a piece at a time: a file is read as fast as the archive is. */
export async function* writeTar(entries: Iterable<TarEntry>): AsyncGenerator<Buffer> {
  const archive = pack()
  const filling = fill(archive, entries).catch((error: unknown) => {
    // Safe: whatever was thrown ends the archive, and its reader gets it.
    archive.destroy(error as Error)
  })
  try {
    // Safe: it yields the buffers that were written to it and headers.
    yield* archive as AsyncIterable<Buffer>
  } finally {
    archive.destroy()
    await filling
  }
}
