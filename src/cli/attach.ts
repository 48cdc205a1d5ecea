import { readFileSync, statSync } from 'node:fs'
import type { Attachment } from '../protocol/attachments.js'
import { BODY_LIMIT_BYTES } from '../protocol/limits.js'
import { findMediaFault, recognizeMedia } from '../protocol/media-type.js'
import { UsageError } from './command.js'

/** What base64 makes of it, with the prompt, is the most that a body may have. */
const SENT_LIMIT_BYTES = Math.floor((BODY_LIMIT_BYTES * 3) / 4) - 64 * 1024

const tooLong = (what: string): UsageError =>
  new UsageError(
    `--attach: ${what} is longer than the ${SENT_LIMIT_BYTES} bytes that fit into a request; a file of the workspace ` +
      'can be attached by its path through the API',
  )

/** Read here, wherever the service runs. @throws UsageError */
function toAttachment(file: string): Attachment {
  const bytes = readBytes(file)
  const found = recognizeMedia(bytes)
  const mediaType = found.kind === 'unknown' ? 'application/pdf' : found.mediaType
  const fault = findMediaFault(bytes, mediaType)
  if (fault !== undefined) throw new UsageError(`--attach: ${file} ${fault}`)
  return { mediaType, data: bytes.toString('base64') }
}

function readBytes(file: string): Buffer {
  try {
    const stats = statSync(file)
    if (!stats.isFile()) throw new UsageError(`--attach: ${file} is not a file`)
    if (stats.size > SENT_LIMIT_BYTES) throw tooLong(file)
    return readFileSync(file)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`--attach: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function toAttachments(files: readonly string[]): Attachment[] {
  const attachments = files.map(toAttachment)
  const base64 = attachments.reduce((sum, { data = '' }) => sum + data.length, 0)
  if (base64 > (SENT_LIMIT_BYTES * 4) / 3) throw tooLong('all of it together')
  return attachments
}
