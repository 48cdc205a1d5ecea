import type { MediaType } from '../../protocol/media-type.js'

/** An image or a document, as the CLI and the Messages API take it. */
export interface ContentBlock {
  readonly type: 'image' | 'document'
  readonly source: { readonly type: 'base64'; readonly media_type: MediaType; readonly data: string }
}

export const toContentBlock = (mediaType: MediaType, bytes: Buffer): ContentBlock => ({
  type: mediaType === 'application/pdf' ? 'document' : 'image',
  source: { type: 'base64', media_type: mediaType, data: bytes.toString('base64') },
})
