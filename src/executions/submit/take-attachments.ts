import { sha256 } from '../../platform/hash.js'
import type { Config } from '../../platform/config.js'
import { SHOWN_ONLY, type Attachment } from '../../protocol/attachments.js'
import type { Contents } from '../store/attachment-commands.js'
import { toInvalidRequest, type FieldError } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { findMediaFault } from '../../protocol/media-type.js'

type Limits = Pick<Config, 'maxAttachments' | 'attachmentLimitBytes' | 'attachmentsLimitBytes'>

/** A request or message whose attachments are named by their digests, and their bytes. */
export interface Taken<Request> {
  readonly request: Request
  readonly contents: Contents
}

const sumOf = (attachments: readonly Attachment[] = []): number =>
  attachments.reduce((sum, { bytes = 0 }) => sum + bytes, 0)

/** Takes the bytes out of requests, within the operator's limits. */
class Taking {
  readonly contents = new Map<string, Buffer>()
  readonly #limits: Limits
  readonly #errors: FieldError[] = []
  #isTooLarge = false

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** `shared`: those that come with them, of the list of a task. */
  take(
    attachments: readonly Attachment[] | undefined,
    at: string,
    shared: readonly Attachment[] = [],
  ): Attachment[] | undefined {
    if (attachments === undefined) return undefined
    const { maxAttachments: most, attachmentsLimitBytes: limit } = this.#limits
    if (shared.length + attachments.length > most) {
      const have = shared.length === 0 ? '' : `, with the ${shared.length} of the list`
      this.#errors.push({ path: at, message: `must not be more than ${most}${have} (CC_EXECUTOR_MAX_ATTACHMENTS)` })
      return []
    }
    const taken = attachments.map((attachment, index) => this.#takeOne(attachment, `${at}[${index}]`))
    if (sumOf(shared) + sumOf(taken) > limit)
      this.#refuse(at, `must not be longer than ${limit} bytes in total (CC_EXECUTOR_ATTACHMENTS_LIMIT_BYTES)`)
    return taken
  }

  /** @throws ExecutorError INVALID_REQUEST, PAYLOAD_TOO_LARGE */
  finish<Request>(request: Request): Taken<Request> {
    if (this.#errors.length > 0)
      throw toInvalidRequest(this.#errors, this.#isTooLarge ? 'PAYLOAD_TOO_LARGE' : 'INVALID_REQUEST')
    return { request, contents: this.contents }
  }

  #takeOne({ data, ...attachment }: Attachment, at: string): Attachment {
    // Its bytes are gone with the execution that was answered like that.
    if (attachment.sha256 !== undefined) this.#errors.push({ path: `${at}.sha256`, message: SHOWN_ONLY })
    if (data === undefined) return attachment
    const path = `${at}.data`
    const bytes = Buffer.from(data, 'base64')
    const limit = this.#limits.attachmentLimitBytes
    if (bytes.length > limit)
      this.#refuse(path, `must not be longer than ${limit} bytes (CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES)`)
    const fault = findMediaFault(bytes, attachment.mediaType)
    if (fault !== undefined) this.#errors.push({ path, message: fault })
    const digest = sha256(bytes)
    this.contents.set(digest, bytes)
    return { ...attachment, bytes: bytes.length, sha256: digest }
  }

  #refuse(path: string, message: string): void {
    this.#isTooLarge = true
    this.#errors.push({ path, message })
  }
}

/** Of a request with those of its tasks. @throws ExecutorError INVALID_REQUEST, PAYLOAD_TOO_LARGE */
export function takeAttachments(request: ExecuteRequest, limits: Limits): Taken<ExecuteRequest> {
  const taking = new Taking(limits)
  if (request.attachments === undefined && !request.tasks?.some((task) => typeof task === 'object'))
    return taking.finish(request)
  const attachments = taking.take(request.attachments, 'attachments')
  const tasks = request.tasks?.map((task, index) =>
    typeof task === 'string' || task.attachments === undefined
      ? task
      : { ...task, attachments: taking.take(task.attachments, `tasks[${index}].attachments`, attachments) },
  )
  return taking.finish({ ...request, attachments, tasks })
}

/** Of a message. @throws ExecutorError INVALID_REQUEST, PAYLOAD_TOO_LARGE */
export function takeMessageAttachments<Message extends { readonly attachments?: Attachment[] | undefined }>(
  message: Message,
  limits: Limits,
): Taken<Message> {
  if (message.attachments === undefined) return { request: message, contents: new Map() }
  const taking = new Taking(limits)
  return taking.finish({ ...message, attachments: taking.take(message.attachments, 'attachments') })
}
