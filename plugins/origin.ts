import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { isLoopback, type Config } from '../src/platform/config.js'
import { ExecutorError, toInvalidRequest } from '../src/protocol/errors.js'

type OriginOptions = Pick<Config, 'host' | 'allowedHosts' | 'allowedOrigins'>

const DEFAULT_PORT = 80
/**
 * Probes of containers and proxies ask by an address of their own. What they are told names nothing, so a page that has
 * rebound its name learns nothing by it; Origin is checked all the same.
 */
const ANY_HOST: ReadonlySet<string> = new Set(['/health', '/health/live', '/health/ready'])
const pathOf = (url: string): string => url.split('?', 1)[0] ?? url

/** Names and values in turn. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) if (/^host$/i.test(rawHeaders[index] ?? '')) count += 1
  return count
}

/** The Host values this process answers to: its own address and names with its port, and what the operator added. */
function ownHosts(app: FastifyInstance, { host, allowedHosts }: OriginOptions): Set<string> | undefined {
  const address = app.server.address()
  // Not listening: a request injected in the same process, which no web page can send.
  if (address === null || typeof address === 'string') return undefined
  const names = isLoopback(host) ? ['127.0.0.1', 'localhost', '[::1]'] : [host.includes(':') ? `[${host}]` : host]
  const own = names.flatMap((name) =>
    address.port === DEFAULT_PORT ? [name, `${name}:${address.port}`] : [`${name}:${address.port}`],
  )
  return new Set([...own, ...allowedHosts].map((value) => value.toLowerCase()))
}

/**
 * Host and Origin against exact lists on every request and upgrade: a page in the operator's browser that rebinds its
 * name to 127.0.0.1, or opens our WebSocket across sites, is refused before anything else is looked at.
 */
export const originPlugin = plugin(
  async function origin(app: FastifyInstance, options: OriginOptions) {
    const origins = new Set(options.allowedOrigins)
    let hosts: Set<string> | undefined
    function findFault({ raw, headers, url }: FastifyRequest): ExecutorError | undefined {
      // Node tells of the first alone, and what stands in front of us may go by the last.
      if (countHosts(raw.rawHeaders) > 1) return toInvalidRequest([{ path: 'Host', message: 'must be given once' }])
      hosts ??= ownHosts(app, options)
      if (!hosts) return undefined
      const host = headers.host?.toLowerCase()
      if (host === undefined) return toInvalidRequest([{ path: 'Host', message: 'is required' }])
      if (!hosts.has(host) && !ANY_HOST.has(pathOf(url))) {
        return new ExecutorError('MISDIRECTED_REQUEST', {
          detail: 'This Host is not served here; the operator can allow more with CC_EXECUTOR_ALLOWED_HOSTS.',
        })
      }
      const { origin } = headers
      if (origin === undefined || origins.has(origin) || hosts.has(origin.replace(/^https?:\/\//, '').toLowerCase()))
        return undefined
      return new ExecutorError('FORBIDDEN', {
        detail: 'This Origin is not allowed; the operator can allow web origins with CC_EXECUTOR_ALLOWED_ORIGINS.',
      })
    }
    app.addHook('onRequest', (request, _reply, done) => done(findFault(request)))
    if (origins.size > 0) {
      app.addHook('onRequest', async ({ method, headers }, reply) => {
        // CORS would answer every OPTIONS; one that is no preflight is a method like any other.
        if (
          method === 'OPTIONS' &&
          (headers.origin === undefined || headers['access-control-request-method'] === undefined)
        )
          return reply.callNotFound()
      })
      await app.register(cors, {
        origin: [...origins],
        // The plugin's own default knows GET, HEAD and POST only.
        methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
        allowedHeaders: [
          'authorization',
          'content-type',
          'idempotency-key',
          'prefer',
          'last-event-id',
          'if-none-match',
          'if-range',
          'range',
          'mcp-session-id',
          'mcp-protocol-version',
          'mcp-method',
          'mcp-name',
        ],
        exposedHeaders: [
          'location',
          'retry-after',
          'idempotent-replayed',
          'preference-applied',
          'allow',
          'www-authenticate',
          'etag',
          'content-range',
          'content-disposition',
          'files-omitted',
          'mcp-session-id',
        ],
      })
    }
  },
  { name: 'origin', dependencies: ['errors'] },
)
