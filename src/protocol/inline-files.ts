import * as z from 'zod'
import { INLINE_FILES_LIMIT, INLINE_FILES_LIMIT_BYTES, PATH_LIMIT_BYTES, PATH_PART_LIMIT_BYTES } from './limits.js'

/** Why a path cannot name a file of the workspace; undefined where it can. */
export function findPathFault(path: string): string | undefined {
  if (!path.isWellFormed() || /[\p{Cc}\\]/u.test(path))
    return 'must be a path with / as separator, without control characters and backslashes'
  if (path.startsWith('/')) return 'must be relative to the workspace'
  if (Buffer.byteLength(path) > PATH_LIMIT_BYTES) return `must not be longer than ${PATH_LIMIT_BYTES} bytes`
  const names = path.split('/')
  if (names.includes('..')) return 'must not leave the workspace'
  if (names.some((name) => name === '' || name === '.')) return 'must name a file, without empty, . or .. segments'
  if (names.some((name) => Buffer.byteLength(name) > PATH_PART_LIMIT_BYTES))
    return `must not have a name longer than ${PATH_PART_LIMIT_BYTES} bytes`
  if (names.some((name) => name.toLowerCase() === '.git'))
    return 'must not lie in .git: a repository’s own configuration runs programs'
  return undefined
}

/**
 * The decoder skips what is none of it, so less comes out; it takes the letters of base64url as well. A pattern would
 * need 300 ms for the longest body.
 */
export function isBase64(text: string): boolean {
  if (text.length % 4 !== 0 || text.includes('-') || text.includes('_')) return false
  const padding = text.endsWith('==') ? 2 : Number(text.endsWith('='))
  return Buffer.from(text, 'base64').length === (text.length / 4) * 3 - padding
}

/** One small file of the request, in the workspace before the run begins. */
export const InlineFile = z
  .strictObject({
    path: z
      .string()
      .min(1, 'must not be empty')
      .superRefine((path, context) => {
        const message = findPathFault(path)
        if (message !== undefined && path !== '') context.addIssue({ code: 'custom', message })
      }),
    content: z.string(),
    encoding: z.enum(['utf8', 'base64']).optional().meta({ description: 'How `content` is written; default utf8.' }),
  })
  .superRefine(({ content, encoding }, context) => {
    if (encoding === 'base64' && !isBase64(content))
      context.addIssue({ code: 'custom', path: ['content'], message: 'is not valid base64' })
    if (encoding !== 'base64' && !content.isWellFormed())
      context.addIssue({ code: 'custom', path: ['content'], message: 'must not contain lone surrogates' })
  })
  .meta({ id: 'InlineFile' })
export type InlineFile = z.infer<typeof InlineFile>

export const toBytes = ({ content, encoding = 'utf8' }: InlineFile): Uint8Array => Buffer.from(content, encoding)

export const InlineFiles = z
  .array(InlineFile)
  .min(1)
  .max(INLINE_FILES_LIMIT)
  .superRefine((files, context) => {
    if (files.reduce((sum, file) => sum + toBytes(file).length, 0) > INLINE_FILES_LIMIT_BYTES) {
      context.addIssue({
        code: 'custom',
        message: `must not be longer than ${INLINE_FILES_LIMIT_BYTES} bytes in total`,
        params: { tooLarge: true },
      })
    }
    const seen = new Map<string, number>()
    for (const [index, { path }] of files.entries()) {
      const names = path.split('/')
      const clash =
        seen.get(path) ??
        names
          .slice(0, -1)
          .map((_name, depth) => seen.get(names.slice(0, depth + 1).join('/')))
          .find((other) => other !== undefined) ??
        files.findIndex((other, before) => before < index && other.path.startsWith(`${path}/`))
      if (clash >= 0)
        context.addIssue({
          code: 'custom',
          path: [index, 'path'],
          message: `cannot be combined with ${JSON.stringify(files[clash]?.path)}`,
        })
      seen.set(path, index)
    }
  })
  .meta({
    description:
      'Small files that are written into the workspace before the run, at most 100 with 1 MiB in total. ' +
      'They do not count as changes of the run. An existing regular file is replaced.',
    examples: [[{ path: 'data/input.csv', content: 'a,b\n1,2\n' }]],
  })
