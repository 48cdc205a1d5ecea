import { randomUUID } from 'node:crypto'
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { isText, PATCH_FILE_BYTES } from './patch.js'

/** What is kept of a workspace before its run; what comes after has no patch. */
const LIMIT_BYTES = 64 * 1024 * 1024
/** Of this, for files that are not text, so that they leave room for those that are. */
const BINARY_LIMIT_BYTES = 16 * 1024 * 1024

/** Where each text lies: path, start, length. */
export type Places = ReadonlyArray<readonly [path: string, start: number, length: number]>

const COPY_BYTES = 1024 * 1024

/**
 * The smaller files of a workspace as they were before its run, for patches. They lie in one file without a name,
 * so that nothing is left of it however the worker ends.
 */
export class BeforeContents {
  readonly #folder: string
  /** undefined: nothing was kept so far. */
  #descriptor: number | undefined
  readonly #places = new Map<string, { readonly start: number; readonly length: number }>()
  #end = 0
  #binaryBytes = 0
  #isClosed = false

  /** @param folder one that runs do not see */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** What `copyTo` has written; it is only read. @throws where it cannot be opened */
  static open(path: string, places: Places): BeforeContents {
    const contents = new BeforeContents('')
    contents.#descriptor = places.length === 0 ? undefined : openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    for (const [name, start, length] of places) contents.#places.set(name, { start, length })
    return contents
  }

  /** Writes them under a name, for `open`. */
  async copyTo(path: string): Promise<Places> {
    const places = [...this.#places].map(([name, { start, length }]) => [name, start, length] as const)
    if (this.#descriptor === undefined) return []
    const file = await open(path, 'wx', 0o600)
    try {
      const piece = Buffer.alloc(COPY_BYTES)
      for (let at = 0; at < this.#end && this.#descriptor !== undefined;) {
        const count = readSync(this.#descriptor, piece, 0, COPY_BYTES, at)
        if (count === 0) break
        await file.write(piece, 0, count, at)
        at += count
      }
    } finally {
      await file.close()
    }
    return places
  }

  /** Called while a manifest is taken: with each file that was read at once. */
  readonly keep = (path: string, bytes: Buffer): void => {
    if (this.#isClosed || bytes.length > PATCH_FILE_BYTES || this.#end + bytes.length > LIMIT_BYTES) return
    const binaryBytes = isText(bytes) ? 0 : bytes.length
    if (this.#binaryBytes + binaryBytes > BINARY_LIMIT_BYTES) return
    try {
      // The disk may be full: then there is no patch of this file.
      this.#descriptor ??= this.#open()
      if (writeSync(this.#descriptor, bytes, 0, bytes.length, this.#end) < bytes.length) return
    } catch {
      return
    }
    this.#places.set(path, { start: this.#end, length: bytes.length })
    this.#end += bytes.length
    this.#binaryBytes += binaryBytes
  }

  read(path: string): Buffer | undefined {
    const place = this.#places.get(path)
    if (!place || this.#isClosed || this.#descriptor === undefined) return undefined
    const bytes = Buffer.alloc(place.length)
    return readSync(this.#descriptor, bytes, 0, place.length, place.start) === place.length ? bytes : undefined
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }

  #open(): number {
    const path = join(this.#folder, `.before-${randomUUID()}`)
    const descriptor = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return descriptor
  }
}
