import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isText, PATCH_FILE_BYTES } from './patch.js'

/** What is kept of a workspace before its run; what comes after has no patch. */
const LIMIT_BYTES = 64 * 1024 * 1024

/**
 * The text files of a workspace as they were before its run, for patches. They lie in one file without a name,
 * so that nothing is left of it however the worker ends.
 */
export class BeforeContents {
  readonly #folder: string
  /** undefined: nothing was kept so far. */
  #descriptor: number | undefined
  readonly #places = new Map<string, { readonly start: number; readonly length: number }>()
  #end = 0
  #isClosed = false

  /** @param folder one that runs do not see */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Called while a manifest is taken: with each file that was read at once. */
  readonly keep = (path: string, bytes: Buffer): void => {
    if (this.#isClosed || bytes.length > PATCH_FILE_BYTES || this.#end + bytes.length > LIMIT_BYTES || !isText(bytes))
      return
    try {
      // The disk may be full: then there is no patch of this file.
      this.#descriptor ??= this.#open()
      if (writeSync(this.#descriptor, bytes, 0, bytes.length, this.#end) < bytes.length) return
    } catch {
      return
    }
    this.#places.set(path, { start: this.#end, length: bytes.length })
    this.#end += bytes.length
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
