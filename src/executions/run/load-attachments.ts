import { toContentBlock, type ContentBlock } from '../../claude/command/content-block.js'
import type { Config } from '../../platform/config.js'
import { readConfined } from '../../platform/confined-folder.js'
import { sha256 } from '../../platform/hash.js'
import type { SentAttachment } from '../../protocol/attachments.js'
import { findMediaFault } from '../../protocol/media-type.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { AttachmentCommands } from '../store/attachment-commands.js'

export interface LoadedAttachments {
  /** For the log: what is handed over, without its bytes. */
  readonly sent: SentAttachment[] | undefined
  readonly blocks: readonly ContentBlock[]
}

const NOTHING_ATTACHED: LoadedAttachments = { sent: undefined, blocks: [] }

/** Why one cannot be handed over, in words for people. */
export class AttachmentError extends Error {
  override readonly name = 'AttachmentError'
}

interface Places {
  readonly store: Pick<AttachmentCommands, 'readAttachment'>
  readonly config: Pick<Config, 'attachmentLimitBytes' | 'attachmentsLimitBytes'>
  /** Where bytes may be kept: the execution, and the list of a task. */
  readonly keptBy: readonly string[]
  /** The folder as it was opened. */
  readonly workspace: string
}

async function load({ path, sha256: digest }: SentAttachment, places: Places): Promise<Buffer | string> {
  const { store, config, keptBy, workspace } = places
  if (path === undefined) {
    const bytes = await store.readAttachment(keptBy, digest ?? '')
    if (!bytes) return 'its bytes are not stored any more'
    return sha256(bytes) === digest ? bytes : 'its stored bytes were changed'
  }
  const bytes = await readConfined(workspace, path, config.attachmentLimitBytes)
  if (bytes === undefined) return `${JSON.stringify(path)} is not a file of the workspace that can be read`
  if (bytes !== 'too_large') return bytes
  const limit = `${config.attachmentLimitBytes} bytes (CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES)`
  return `${JSON.stringify(path)} is longer than ${limit}`
}

export type LoadAttachments = (attachments: readonly SentAttachment[] | undefined) => Promise<LoadedAttachments>

/** For one attempt. `workspace`: the folder as it was opened. */
export const openLoader =
  (services: Pick<Places, 'store' | 'config'>, { id, parentId }: ExecutionRecord, workspace: string): LoadAttachments =>
  (attachments) => {
    const keptBy = parentId === undefined ? [id] : [id, parentId]
    return loadAttachments(attachments, { ...services, keptBy, workspace })
  }

/**
 * What the CLI is handed: bytes that came with the request, and files of the workspace as they are now, which must be
 * what they are said to be. @throws AttachmentError, and what the store throws
 */
async function loadAttachments(
  attachments: readonly SentAttachment[] | undefined,
  places: Places,
): Promise<LoadedAttachments> {
  if (attachments === undefined || attachments.length === 0) return NOTHING_ATTACHED
  const sent: SentAttachment[] = []
  const blocks: ContentBlock[] = []
  let total = 0
  for (const [index, attachment] of attachments.entries()) {
    const { mediaType, path } = attachment
    const name = `attachments[${index}]${path === undefined ? '' : '.path'}`
    const bytes = await load(attachment, places)
    if (typeof bytes === 'string') throw new AttachmentError(`${name}: ${bytes}.`)
    const fault = findMediaFault(bytes, mediaType)
    if (fault !== undefined) throw new AttachmentError(`${name}: ${JSON.stringify(path)} ${fault}.`)
    total += bytes.length
    if (total > places.config.attachmentsLimitBytes) {
      const limit = `${places.config.attachmentsLimitBytes} bytes in total (CC_EXECUTOR_ATTACHMENTS_LIMIT_BYTES)`
      throw new AttachmentError(`attachments: they are longer than ${limit}.`)
    }
    sent.push({ mediaType, path, bytes: bytes.length, sha256: sha256(bytes) })
    blocks.push(toContentBlock(mediaType, bytes))
  }
  return { sent, blocks }
}
