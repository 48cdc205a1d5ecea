import { promisify } from 'node:util'
import { deflate, inflate } from 'node:zlib'
import type { Redis } from 'ioredis'
import type { FileSink } from '../../files/collect-files.js'
import { sha256 } from '../../platform/hash.js'
import { keyRoot } from '../../platform/redis.js'
import type { RunScript } from '../../platform/redis-scripts.js'
import type { WorkspaceFiles } from '../../protocol/files.js'
import { openRecordScripts, type RecordScripts } from './record-scripts.js'

const pack = promisify(deflate)
const unpack = promisify(inflate)

/**
 * Contents lie in pieces of so many bytes, each compressed by itself: a reader takes one at a time, and may begin
 * anywhere.
 */
const PIECE_BYTES = 256 * 1024
/** So much goes to Redis in one step. */
const BATCH_BYTES = 512 * 1024
/** What belongs to no end yet is forgotten by itself; the conclusion keeps it as long as the record. */
const UNCONCLUDED_MS = 60 * 60 * 1_000
const LISTING = 'listing'

/** Takes what a run left, in batches; `finish` writes the listing, without which nothing else is found. */
export interface FileWriter extends FileSink {
  finish(listing: WorkspaceFiles): Promise<void>
  /** What is handed out of its commits, or why it is not. */
  artifact(name: ArtifactName, content: Buffer | NotKept): Promise<void>
  flush(): Promise<void>
}

export type ArtifactName = 'patch' | 'bundle'
type NotKept = 'too_large' | 'withheld'

/** Of a run's commits. */
export type Artifact = { readonly bytes: number; readonly sha256: string } | { readonly notKept: NotKept }

/**
 * What finished runs left in their workspaces, kept beside their records in a hash of its own, files:<id>:
 * `listing`, `<sha256>:<n>` for the pieces of a content, `patch:<path>`, `artifact:<name>`, all of it deflated; `bytes`
 * is their sum.
 */
export class FileStore {
  readonly #redis: Redis
  readonly #root: string
  readonly #run: RunScript<RecordScripts>

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis
    this.#root = keyRoot(prefix)
    this.#run = openRecordScripts(redis, this.#root)
  }

  #keyOf(id: string): string {
    return `${this.#root}:files:${id}`
  }

  /** @throws Error from every method of the writer when the fence is lost, or Redis refuses */
  openWriter(id: string, fence: string): FileWriter {
    let batch: Array<string | Buffer> = []
    let batchBytes = 0
    const flush = async (): Promise<void> => {
      const fields = batch
      batch = []
      batchBytes = 0
      if (fields.length > 0 && (await this.#run('ccKeepFiles', id, fence, UNCONCLUDED_MS, ...fields)) !== 'ok')
        throw new Error('the claim was lost')
    }
    const put = async (field: string, bytes: Buffer): Promise<void> => {
      const packed = await pack(bytes)
      batch.push(field, packed)
      batchBytes += packed.length
      if (batchBytes >= BATCH_BYTES) await flush()
    }
    const putContent = async (digest: string, bytes: Buffer): Promise<void> => {
      for (let start = 0; start < bytes.length; start += PIECE_BYTES)
        await put(`${digest}:${start / PIECE_BYTES}`, bytes.subarray(start, start + PIECE_BYTES))
    }
    return {
      content: putContent,
      async artifact(name, content) {
        const artifact: Artifact = Buffer.isBuffer(content)
          ? { bytes: content.length, sha256: sha256(content) }
          : { notKept: content }
        if ('sha256' in artifact && Buffer.isBuffer(content)) await putContent(artifact.sha256, content)
        await put(`artifact:${name}`, Buffer.from(JSON.stringify(artifact)))
      },
      flush,
      patch: (path, patch) => put(`patch:${path}`, patch),
      async finish(listing) {
        await put(LISTING, Buffer.from(JSON.stringify(listing)))
        await flush()
      },
    }
  }

  /** undefined: nothing was kept of this execution. */
  async readListing(id: string): Promise<WorkspaceFiles | undefined> {
    const bytes = await this.#read(id, LISTING)
    // Safe: `finish` wrote it.
    return bytes && (JSON.parse(bytes.toString()) as WorkspaceFiles)
  }

  /** undefined: there is none. */
  async readArtifact(id: string, name: ArtifactName): Promise<Artifact | undefined> {
    const bytes = await this.#read(id, `artifact:${name}`)
    // Safe: `artifact` wrote it.
    return bytes && (JSON.parse(bytes.toString()) as Artifact)
  }

  readPatch(id: string, path: string): Promise<Buffer | undefined> {
    return this.#read(id, `patch:${path}`)
  }

  /** The bytes from `start` up to and without `end`, a piece at a time. @throws Error when it is forgotten meanwhile */
  async *readContent(
    id: string,
    { sha256, start, end }: { sha256: string; start: number; end: number },
  ): AsyncGenerator<Buffer> {
    for (let at = start - (start % PIECE_BYTES); at < end; at += PIECE_BYTES) {
      const piece = await this.#read(id, `${sha256}:${at / PIECE_BYTES}`)
      if (!piece) throw new Error(`a piece of ${sha256} is gone`)
      yield piece.subarray(Math.max(start - at, 0), end - at)
    }
  }

  async #read(id: string, field: string): Promise<Buffer | undefined> {
    const packed = await this.#redis.hgetBuffer(this.#keyOf(id), field)
    return packed ? unpack(packed) : undefined
  }
}
