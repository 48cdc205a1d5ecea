// A file is what its bytes say, and whole.
import t from 'tap'
import { findMediaFault, MEDIA_TYPES, recognizeMedia, type MediaType } from '../../src/protocol/media-type.js'
import { makeGif, makeJpeg, makePdf, makePng, makeWebp } from '../support/media.js'

const MADE: Record<MediaType, Buffer> = {
  'image/png': makePng(),
  'image/jpeg': makeJpeg(),
  'image/gif': makeGif(),
  'image/webp': makeWebp(),
  'application/pdf': makePdf(),
}

void t.test('each type is known by its content, and no beginning of it is taken for all of it', async (t) => {
  for (const mediaType of MEDIA_TYPES) {
    const bytes = MADE[mediaType]
    t.same(recognizeMedia(bytes), { kind: 'known', mediaType })
    t.equal(findMediaFault(bytes, mediaType), undefined)
    t.equal(findMediaFault(Buffer.concat([bytes, Buffer.from('\n')]), mediaType), undefined, 'something may follow')
    const other = mediaType === 'image/png' ? 'image/gif' : 'image/png'
    t.equal(findMediaFault(bytes, other), `is ${mediaType} by its content, not ${other}`)
    const taken = Array.from({ length: bytes.length - 8 }, (_, length) => length).filter(
      (length) => recognizeMedia(bytes.subarray(0, length)).kind === 'known',
    )
    t.same(taken, [], `cut off: ${mediaType}`)
    t.match(findMediaFault(bytes.subarray(0, -12), mediaType), /not whole/)
  }
  t.equal(findMediaFault(Buffer.alloc(0), 'image/png'), 'is empty')
  for (const text of ['<svg/>', 'GIF8', 'RIFF....WAVE', '\x89PNG', 'x'.repeat(2_000) + '%PDF-1.4 %%EOF'])
    t.match(findMediaFault(Buffer.from(text, 'latin1'), 'application/pdf'), /is none of/)
})
