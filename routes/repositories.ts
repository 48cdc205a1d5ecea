import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import * as z from 'zod'
import { readArtifact, type Handed } from '../src/executions/read/read-repository.js'
import { routeOf } from './route-of.js'

const tags = ['files']

const toHeaders = ({ bytes, sha256 }: Handed, file: string): Record<string, string | number> => ({
  etag: `"${sha256}"`,
  'content-length': bytes,
  'content-disposition': `attachment; filename="${file}"`,
  'cache-control': 'private, no-cache',
  'x-content-type-options': 'nosniff',
})

/** What runs on a repository have committed. */
export async function repositoryRoutes(fastify: FastifyInstance): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>()
  const { services } = app

  app.route({
    ...routeOf('execution.patch', {
      tags,
      summary: 'The commits of a run on a repository, as a patch',
      description:
        'A mailbox for `git am` (and `git apply`), with binary files, links, modes and renames. Empty if nothing was ' +
        'committed. A history that `git am` could not take (merges) comes as one commit.',
      response: {
        200: { description: 'The patch.', content: { 'text/x-diff': { schema: z.string() } } },
      },
    }),
    handler: async (request, reply) => {
      const { id } = request.params
      const patch = await readArtifact(services, id, 'patch', request.caller)
      reply.type('text/x-diff').headers(toHeaders(patch, `${id}.patch`))
      const content = request.method === 'HEAD' ? [] : patch.content()
      // Safe to bypass the declared answer: a stream of bytes.
      return reply.send(Readable.from(content, { objectMode: false }) as never)
    },
  })

  app.route({
    ...routeOf('execution.bundle', {
      tags,
      summary: 'The commits of a run on a repository, as a git bundle',
      description:
        'For `git fetch FILE BRANCH` in a clone that has `outcome.repository.baseCommit`. FILE_NOT_KEPT if nothing ' +
        'was committed.',
      response: {
        200: { description: 'The bundle.', content: { 'application/x-git-bundle': { schema: z.string() } } },
      },
    }),
    handler: async (request, reply) => {
      const { id } = request.params
      const bundle = await readArtifact(services, id, 'bundle', request.caller)
      reply.type('application/x-git-bundle').headers(toHeaders(bundle, `${id}.bundle`))
      const content = request.method === 'HEAD' ? [] : bundle.content()
      // Safe to bypass the declared answer: a stream of bytes.
      return reply.send(Readable.from(content, { objectMode: false }) as never)
    },
  })
}
