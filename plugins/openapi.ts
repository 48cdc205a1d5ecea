import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { tidyOpenApi } from './tidy-openapi.js'
import { VERSION } from '../src/platform/version.js'
import { requireSchemaIds } from '../src/protocol/schema-ids.js'

const DOCS = '/docs'

/** What is published only grows: only what was declared strict, a request, is closed to further fields. */
const zodToJsonConfig = {
  override({
    zodSchema,
    jsonSchema,
  }: {
    zodSchema: { _zod: { def: { type: string; catchall?: unknown } } }
    jsonSchema: { additionalProperties?: unknown }
  }): void {
    const { type, catchall } = zodSchema._zod.def
    if (type === 'object' && catchall === undefined) delete jsonSchema.additionalProperties
  },
}
const transformObject = createJsonSchemaTransformObject({ zodToJsonConfig })

const DESCRIPTION = [
  'Runs Claude Code in the background: submit an execution, receive every event in order, live or ' +
    'after a reconnect.',
  '',
  'Live streams: `GET /executions/{id}/events` with `Accept: text/event-stream`, or JSON-RPC 2.0 over the WebSocket ' +
    '`/ws` (`rpc.discover` describes it).',
].join('\n')

/**
 * OpenAPI 3.1 of everything the routes declare, at /openapi.json, and Swagger UI at /docs, which needs no other host.
 */
export const openapiPlugin = plugin(
  async function openapi(app: FastifyInstance, { basePath }: { basePath: string }) {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'CC Executor',
          version: VERSION,
          description: DESCRIPTION,
          contact: { name: 'The operator of this service' },
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: basePath === '' ? '/' : basePath }],
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', description: 'The token that cc-executor token prints.' },
            ticket: {
              type: 'apiKey',
              in: 'query',
              name: 'ticket',
              description: 'From `POST /tickets`, once: for an EventSource, which cannot send a header.',
            },
          },
        },
        security: [{ bearer: [] }],
        tags: [
          { name: 'executions', description: 'Submit, watch, steer, read.' },
          { name: 'approvals', description: 'What runs wait for, and what people decide.' },
          { name: 'files', description: 'Files that runs left in their workspaces.' },
          { name: 'receipts', description: 'Signed records of executions, and their verification.' },
          { name: 'history', description: 'How long runs take, and what was spent.' },
          { name: 'tokens', description: 'Who may call, for how long; tickets for browsers.' },
          { name: 'service', description: 'The queue, health, authentication.' },
        ],
      },
      transform: createJsonSchemaTransform({ zodToJsonConfig }),
      transformObject: (document) => tidyOpenApi(transformObject(document)),
    })
    // By a relative way: the page's own links are relative to the slash, behind whatever prefix a proxy adds.
    app.addHook('onRequest', ({ raw: { url = '' } }, reply, done) => {
      const [path, query] = url.startsWith(DOCS) ? url.split('?') : []
      if (path !== DOCS) return done()
      return void reply.redirect(`.${DOCS}/${query === undefined ? '' : `?${query}`}`)
    })
    // The page is open; what it calls is not.
    app.addHook('onRoute', (route) => {
      if (route.url === DOCS || route.url.startsWith(`${DOCS}/`)) route.config = { ...route.config, open: true }
    })
    await app.register(swaggerUi, {
      routePrefix: DOCS,
      theme: {
        title: 'CC Executor',
        css: [{ filename: 'theme.css', content: '.swagger-ui .topbar { display: none }' }],
      },
      uiConfig: {
        persistAuthorization: true,
        tryItOutEnabled: true,
        displayRequestDuration: true,
        docExpansion: 'list',
        deepLinking: true,
      },
    })
    // The document is made for the first who asks, once for good: at every start it took a sixth of the whole. That it
    // can be made is known by then, since openapi/openapi.json is made the same way and compared in npm test.
    app.addHook('onReady', async () => requireSchemaIds())
    app.get('/openapi.json', { config: { open: true }, schema: { hide: true } }, async () => app.swagger())
  },
  { name: 'openapi' },
)
