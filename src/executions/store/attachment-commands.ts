import { execute, type StoreContext } from './store-context.js'

/** By the SHA-256 of each, in hex. */
export type Contents = ReadonlyMap<string, Buffer>

/**
 * The bytes of attachments, beside the records: attachments:<id> of an execution, `<sha256>` → bytes, and the `bytes`
 * of all. They go with its end. Those of a task list are its tasks'.
 */
export interface AttachmentCommands {
  /** Before the record or the message of that id is stored, which then keeps them. */
  putAttachmentsAside(id: string, contents: Contents): Promise<void>
  /** Nothing was stored that would keep them. */
  discardAttachments(id: string): Promise<void>
  /** From the first that has it; undefined: it is gone. */
  readAttachment(ids: readonly string[], sha256: string): Promise<Buffer | undefined>
}

/** What nothing follows is forgotten by itself. */
const ASIDE_MS = 60 * 60 * 1_000

export function createAttachmentCommands({ redis, root }: StoreContext): AttachmentCommands {
  const keyOf = (id: string): string => `${root}:attachments:${id}`
  return {
    async putAttachmentsAside(id, contents) {
      const key = keyOf(id)
      const pipeline = redis.pipeline()
      // Each by itself: none is longer than what Redis takes at once.
      for (const [sha256, bytes] of contents) pipeline.hset(key, sha256, bytes)
      await execute(pipeline.pexpire(key, ASIDE_MS))
    },
    async discardAttachments(id) {
      await redis.del(keyOf(id))
    },
    async readAttachment(ids, sha256) {
      for (const id of ids) {
        const bytes = await redis.hgetBuffer(keyOf(id), sha256)
        if (bytes) return bytes
      }
      return undefined
    },
  }
}
