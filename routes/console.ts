import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ExecutorError } from '../src/protocol/errors.js'

const PATH = '/console'
const PAGE = 'index.html'
/** What set-up has built from src/console, beside this module's own folder. */
const FOLDER = fileURLToPath(new URL('../console/', import.meta.url))

/** `npm run build` makes it; a checkout that was only compiled has none. */
export const isConsoleBuilt = (): boolean => existsSync(join(FOLDER, PAGE))

/** Everything is a file of this service: no inline script or style, no other host. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';')

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

interface Asset {
  readonly type: string
  readonly etag: string
  readonly plain: Buffer
  readonly compressed: Buffer
}

/** All of them by their path, a few hundred kilobytes; empty where the console was not built. */
async function loadAssets(): Promise<Map<string, Asset>> {
  const names = await readdir(FOLDER, { recursive: true }).catch(() => [])
  const files = names.flatMap((name) => {
    const type = MEDIA_TYPES[extname(name)]
    return type === undefined ? [] : [{ path: name.replaceAll('\\', '/'), type }]
  })
  const assets = files.map(async ({ path, type }): Promise<[string, Asset]> => {
    const plain = await readFile(join(FOLDER, path))
    const etag = `"${createHash('sha256').update(plain).digest('hex').slice(0, 32)}"`
    return [path, { type, etag, plain, compressed: await promisify(gzip)(plain) }]
  })
  return new Map(await Promise.all(assets))
}

/** The web page of src/console, and the way to it. Its files are open; what it calls is not. */
export async function consoleRoutes(app: FastifyInstance): Promise<void> {
  let loading: Promise<Map<string, Asset>> | undefined

  async function sendAsset({ headers }: FastifyRequest, reply: FastifyReply, path: string): Promise<unknown> {
    const assets = await (loading ??= loadAssets())
    const asset = assets.get(path)
    if (!asset) {
      // Built meanwhile, it is found by the next request.
      if (assets.size === 0) loading = undefined
      const detail =
        assets.size === 0 ? 'The console is not built here: npm run build makes it.' : 'The console has no such file.'
      throw new ExecutorError('METHOD_NOT_FOUND', { detail })
    }
    const isCompressed = /\bgzip\b/.test(headers['accept-encoding'] ?? '')
    // The name of what lies in assets/ holds its digest: another content has another name.
    const isFixed = path.startsWith('assets/')
    void reply.headers({
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'cache-control': isFixed ? 'public, max-age=31536000, immutable' : 'no-cache',
      vary: 'accept-encoding',
      etag: asset.etag,
    })
    if (headers['if-none-match'] === asset.etag) return reply.code(304).send()
    if (isCompressed) void reply.header('content-encoding', 'gzip')
    return reply.type(asset.type).send(isCompressed ? asset.compressed : asset.plain)
  }

  const options = { config: { open: true }, schema: { hide: true } } as const
  app.get('/', options, async (_request, reply) => {
    const { basePath } = app.services.config
    const docs = `${basePath}/docs/`
    const console = isConsoleBuilt() ? `${basePath}${PATH}/` : undefined
    const others = console === undefined ? 'The console is not built here.' : `The console is at ${console}.`
    return reply
      .code(302)
      .header('location', console ?? docs)
      .type('text/plain; charset=utf-8')
      .send(`${others} The API is described at ${docs}.\n`)
  })
  // One route with and without a slash. By a relative way, as /docs: right behind whatever prefix a proxy adds.
  app.get(PATH, options, async (request, reply) =>
    request.raw.url?.split('?', 1)[0]?.endsWith('/') ? sendAsset(request, reply, PAGE) : reply.redirect(`.${PATH}/`),
  )
  app.get<{ Params: { '*': string } }>(`${PATH}/*`, options, (request, reply) =>
    sendAsset(request, reply, request.params['*']),
  )
}
