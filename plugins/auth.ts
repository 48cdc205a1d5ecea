import type { FastifyInstance, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import type { Caller } from '../src/protocol/caller.js'
import type { Scope } from '../src/protocol/caller.js'
import type { TokenBook } from '../src/platform/tokens.js'
import { ExecutorError } from '../src/protocol/errors.js'
import { BEARER_PROTOCOL } from './websocket.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; on open paths nobody has been asked, and who has a token may show it. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Answers without a token. */
    open?: boolean
    /** What the token must be allowed to do; default: read. `any`: whoever has a token may come in. */
    scope?: Scope | 'any'
  }
}

export interface AuthOptions {
  /** undefined: open, nobody is asked for a token. */
  readonly tokens: TokenBook | undefined
}

const NOBODY: Caller = { name: '', scopes: new Set() }
/** Everybody, where the operator has chosen `open`. */
const OPEN_CALLER: Caller = { name: 'open', scopes: new Set<Scope>(['execute', 'read', 'admin']) }

function readToken({ headers, ws }: FastifyRequest): string | undefined {
  if (headers.authorization !== undefined || !ws) return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim())
  return protocols.find((protocol) => protocol.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length)
}

function identify(request: FastifyRequest, tokens: TokenBook): Caller {
  const token = readToken(request)
  if (token === undefined) {
    throw new ExecutorError('UNAUTHENTICATED', {
      detail:
        'Send the token as Authorization: Bearer ' +
        `<token>${request.ws ? `, or as a second subprotocol, cc-executor and ${BEARER_PROTOCOL}<token>` : ''}; ` +
        'cc-executor token prints it.',
    })
  }
  const entry = tokens.find(token)
  if (!entry)
    throw new ExecutorError('UNAUTHENTICATED', {
      detail: 'Unknown token; cc-executor token prints the current one.',
    })
  return entry
}

/** On an open path a token is not asked for, and a wrong one is none. */
function recognise(request: FastifyRequest, tokens: TokenBook | undefined): Caller {
  if (!tokens) return OPEN_CALLER
  const token = readToken(request)
  return (token === undefined ? undefined : tokens.find(token)) ?? NOBODY
}

/** A token for every request, HTTP and WebSocket upgrade alike, and the scope that its route needs. */
export const authPlugin = plugin(
  async function auth(app: FastifyInstance, { tokens }: AuthOptions) {
    // Fastify wants no object as a shared start value; the hook sets it before anything reads it.
    app.decorateRequest('caller', null as unknown as Caller)
    app.addHook('onRequest', async (request) => {
      // What is no route is nobody's to allow: every token gets the same 404 or 405.
      const { open, scope = request.is404 ? 'any' : 'read' } = request.routeOptions.config
      request.caller = open ? recognise(request, tokens) : NOBODY
      if (open) return
      request.caller = tokens ? identify(request, tokens) : OPEN_CALLER
      if (scope !== 'any' && !request.caller.scopes.has(scope)) {
        throw new ExecutorError('FORBIDDEN', {
          detail: `This needs a token with the ${scope} scope; ${request.caller.name} has ${[...request.caller.scopes].join(', ')}.`,
        })
      }
    })
  },
  { name: 'auth', dependencies: ['errors', 'websocket'] },
)
