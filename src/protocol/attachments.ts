import * as z from 'zod'
import { ATTACHMENTS_LIMIT } from './limits.js'
import { findPathFault, isBase64 } from './inline-files.js'
import { MEDIA_TYPES } from './media-type.js'

const AttachmentType = z.enum(MEDIA_TYPES).meta({ id: 'AttachmentType' })

/** What is shown of an attachment: never its bytes. */
const shown = {
  bytes: z.int().optional().meta({ description: 'Only in answers: its length.' }),
  sha256: z.string().optional().meta({ description: 'Only in answers: of its bytes, hex.' }),
}

/** For generated schemas: what the refinement below checks, said in JSON Schema; `sha256` stands in answers. */
const oneSource = { anyOf: [{ required: ['data'] }, { required: ['path'] }, { required: ['sha256'] }] }

export const SHOWN_ONLY = 'stands in answers only; send data or path'

/** An image or a PDF for the model. With `sha256` alone it stands in records: submissions are refused with it. */
export const Attachment = z
  .strictObject({
    mediaType: AttachmentType.meta({ description: 'Must be what the content is.' }),
    data: z.string().optional().meta({ description: 'Its bytes in base64; they count towards the body.' }),
    path: z
      .string()
      .superRefine((path, context) => {
        const message = path === '' ? 'must not be empty' : findPathFault(path)
        if (message !== undefined) context.addIssue({ code: 'custom', message })
      })
      .optional()
      .meta({ description: 'Instead: a file of the workspace, read by the worker when it is needed.' }),
    ...shown,
  })
  .superRefine(({ data, path, bytes, sha256 }, context) => {
    const addIssue = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message })
    const isShown = sha256 !== undefined && data === undefined && path === undefined
    if (!isShown && bytes !== undefined) addIssue('bytes', SHOWN_ONLY)
    if (!isShown && sha256 !== undefined) addIssue('sha256', SHOWN_ONLY)
    if (data === undefined && path === undefined && sha256 === undefined)
      addIssue('data', 'either data or path is required')
    if (data !== undefined && path !== undefined) addIssue('path', 'give either data or path, not both')
    if (data === '') addIssue('data', 'is empty')
    else if (data !== undefined && !isBase64(data)) addIssue('data', 'is not valid base64')
  })
  .meta({ id: 'Attachment', description: 'An image or a PDF that the model is given with the text.', ...oneSource })
export type Attachment = z.infer<typeof Attachment>

export const Attachments = z.array(Attachment).min(1).max(ATTACHMENTS_LIMIT)

/** What a log or a receipt says of one that was handed over. */
export const SentAttachment = z.object({ mediaType: AttachmentType, path: z.string().optional(), ...shown })
export type SentAttachment = z.infer<typeof SentAttachment>
export const SentAttachments = z.array(SentAttachment).optional()
