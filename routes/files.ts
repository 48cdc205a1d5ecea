import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import {
  findFile,
  readAllPatches,
  readArchive,
  readFileContent,
  readFilePatch,
  readFiles,
  splitChanged,
  type KeptFile,
} from '../src/executions/read/read-files.js'
import { WorkspaceFiles } from '../src/protocol/files.js'
import { toMediaType } from './media-types.js'
import { routeOf } from './route-of.js'

const tags = ['files']
const PATCH = 'text/x-diff; charset=utf-8'

/**
 * What an agent wrote is nobody's page: no script of it runs, nothing is sniffed, and what a browser would show with
 * effect is saved.
 */
function protect(reply: FastifyReply, name: string, isSafe: boolean): void {
  const plain = name.replace(/[^\w.-]/g, '_')
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  reply.headers({
    'content-disposition': `${isSafe ? 'inline' : 'attachment'}; filename="${plain}"; filename*=UTF-8''${encoded}`,
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
  })
}

/** One range, of this very content; every other one is answered with the whole file, as RFC 9110 allows. */
function readRange(
  { headers }: FastifyRequest,
  { size, sha256 }: KeptFile,
): { start: number; end: number } | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? []
  const condition = headers['if-range']
  if ((from === '' && to === '') || (condition !== undefined && condition !== `"${sha256}"`)) return undefined
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1)
  return start < end ? { start, end } : undefined
}

const isKnown = ({ headers }: FastifyRequest, etag: string): boolean =>
  headers['if-none-match']?.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim())) ?? false

/** What finished executions left in their workspaces, whichever host that was. */
export async function fileRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('execution.files', {
      tags,
      summary: 'Files of the workspace and changes of the run',
      description:
        'The state at the end of the run. With `?diff` one patch of all changes, for `git apply` and `patch -p1`.',
      response: {
        200: {
          description: 'The listing, or the patch.',
          content: { 'application/json': { schema: WorkspaceFiles }, 'text/x-diff': { schema: z.string() } },
        },
      },
    }),
    handler: async (request, reply) => {
      const listing = await readFiles(services, request.params.id, request.caller)
      if (!request.query.diff) return reply.send(listing)
      // Safe to bypass the declared answer: a stream of text.
      return reply.type(PATCH).send(Readable.from(readAllPatches(services, listing)) as never)
    },
  })

  app.route({
    ...routeOf('execution.file', {
      tags,
      summary: 'One file that the run created or modified',
      description:
        'The content, with its SHA-256 as ETag; one `Range` at a time. With `?diff` the changes of the run, ' +
        'as a patch. Web pages and scripts are sent as attachments.',
      response: {
        200: {
          description: 'The file, or the patch.',
          content: { 'application/octet-stream': { schema: z.string() }, 'text/x-diff': { schema: z.string() } },
        },
        206: {
          description: 'The requested range.',
          content: { 'application/octet-stream': { schema: z.string() } },
        },
        304: z.null().meta({ description: 'Not modified.' }),
      },
    }),
    handler: async (request, reply) => {
      const { id, '*': path } = request.params
      if (request.query.diff) {
        const patch = await readFilePatch(services, id, path, request.caller)
        return reply.type(PATCH).send(patch as never)
      }
      const file = await findFile(services, id, path, request.caller)
      const etag = `"${file.sha256}"`
      const { type, isSafe } = toMediaType(path)
      protect(reply, path.slice(path.lastIndexOf('/') + 1), isSafe)
      reply.type(type).headers({ etag, 'accept-ranges': 'bytes', 'cache-control': 'private, no-cache' })
      if (isKnown(request, etag)) return reply.code(304).send(null)
      const range = readRange(request, file)
      const { start, end } = range ?? { start: 0, end: file.size }
      if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${file.size}`)
      reply.header('content-length', end - start)
      const content = request.method === 'HEAD' ? [] : readFileContent(services, id, file, { start, end })
      // Safe to bypass the declared answer: a stream of bytes.
      return reply.send(Readable.from(content, { objectMode: false }) as never)
    },
  })

  app.route({
    ...routeOf('execution.archive', {
      tags,
      summary: 'All files that the run created or modified',
      description:
        'A gzipped tar archive; the same files give the same bytes. `Files-Omitted` is the number of changed ' +
        'files that are not included; the listing gives the reasons.',
      response: {
        200: { description: 'The archive.', content: { 'application/gzip': { schema: z.string() } } },
      },
    }),
    handler: async (request, reply) => {
      const { id } = request.params
      const listing = await readFiles(services, id, request.caller)
      const { kept, missing } = splitChanged(listing)
      protect(reply, `${id}.tar.gz`, false)
      reply.type('application/gzip').header('files-omitted', missing)
      if (request.method === 'HEAD') return reply.send(Readable.from([], { objectMode: false }) as never)
      const archive = Readable.from(readArchive(services, id, kept), { objectMode: false })
      const gzip = createGzip()
      // A cut archive must look cut: the connection breaks with it.
      archive.on('error', (error) => gzip.destroy(error))
      gzip.on('close', () => archive.destroy())
      // Safe to bypass the declared answer: a stream of bytes.
      return reply.send(archive.pipe(gzip) as never)
    },
  })
}
