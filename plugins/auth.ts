import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import type { Caller, Scope } from '../src/protocol/caller.js'
import type { TokenBook } from '../src/platform/tokens.js'
import { fromStore } from '../src/platform/redis.js'
import { ERROR_TABLE, ExecutorError, toProblem } from '../src/protocol/errors.js'
import { OPEN_CALLER } from '../src/tokens/find-owner.js'
import { lastingAccess, narrowAccess, type Access } from '../src/tokens/live-token.js'
import { withdrawn } from '../src/tokens/manage-tokens.js'
import type { TokenServices } from '../src/tokens/token-services.js'
import { ticketOf } from './ticket-parameter.js'
import { CHALLENGE } from './errors.js'
import { BEARER_PROTOCOL } from './websocket.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; on open paths nobody has been asked. */
    caller: Caller
    /** The caller, and when it must be served no more. */
    access: Access
  }
  interface FastifyContextConfig {
    /** Answers without a token; `recognised`: who shows one is known by it. */
    open?: boolean | 'recognised'
    /** What the token must be allowed to do; default: read. `any`: whoever has a token may come in. */
    scope?: Scope | 'any'
    /** A token of one execution may come in. */
    forOneExecution?: boolean
    /** A ticket will do in place of a token. */
    ticket?: boolean
  }
}

export interface AuthOptions {
  /** Of the configuration. undefined: open, nobody is asked for a token. */
  readonly tokens: TokenBook | undefined
  /** Of the API. */
  readonly made: Pick<TokenServices, 'access' | 'tickets'>
}

const NOBODY = lastingAccess({ id: '', name: '', scopes: new Set() })
/** Everybody, where the operator has chosen `open`. */
const OPEN = lastingAccess(OPEN_CALLER)

function readToken({ headers, ws }: FastifyRequest): string | undefined {
  if (headers.authorization !== undefined || !ws) return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim())
  return protocols.find((protocol) => protocol.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length)
}

const unauthenticated = (detail: string): ExecutorError => new ExecutorError('UNAUTHENTICATED', { detail })

function toMissing(ws: boolean): ExecutorError {
  const others = ws ? `, or as a second subprotocol, cc-executor and ${BEARER_PROTOCOL}<token>` : ''
  return unauthenticated(`Send the token as Authorization: Bearer <token>${others}; cc-executor token prints it.`)
}

/**
 * A token for every request, HTTP and WebSocket upgrade alike, and the scope that its route needs. When a token ends,
 * so does what it has open: routes look at `access`, and what is left is cut off here.
 */
export const authPlugin = plugin(
  async function auth(app: FastifyInstance, { tokens, made }: AuthOptions) {
    /** A configured token is known without a look anywhere. */
    async function find(token: string): Promise<Access | undefined> {
      const entry = tokens?.find(token)
      return entry ? lastingAccess(entry) : fromStore(made.access.find(token))
    }

    async function redeem(ticket: string): Promise<Access | undefined> {
      const meaning = await fromStore(made.tickets.redeem(ticket))
      if (!meaning) return undefined
      const { tokenId, scopes, executionId } = meaning
      const entry = tokens?.findById(tokenId, scopes)
      const access = tokens
        ? entry
          ? lastingAccess(entry)
          : await fromStore(made.access.findById(tokenId))
        : tokenId === OPEN.caller.id
          ? OPEN
          : undefined
      return access && executionId !== undefined ? narrowAccess(access, executionId) : access
    }

    async function identify(request: FastifyRequest): Promise<Access> {
      const { headers, ws, routeOptions } = request
      const ticket =
        routeOptions.config.ticket && headers.authorization === undefined ? ticketOf(request.raw) : undefined
      if (ticket !== undefined) {
        const access = await redeem(ticket)
        if (!access) throw unauthenticated('Unknown ticket: each is valid once, for 30 seconds; ask for a new one.')
        return access
      }
      if (!tokens) return OPEN
      const token = readToken(request)
      if (token === undefined) throw toMissing(ws)
      const access = await find(token)
      if (!access) throw unauthenticated('Unknown token; cc-executor token prints the current one.')
      return access
    }

    /** On an open path a token is not asked for, and a wrong one is none; nor does it depend on the store. */
    async function recognise(request: FastifyRequest): Promise<Access> {
      if (!tokens) return OPEN
      const token = readToken(request)
      return (token === undefined ? undefined : await find(token).catch(() => undefined)) ?? NOBODY
    }

    function requireAllowed({ caller, is404, routeOptions: { config } }: FastifyRequest): void {
      // What is no route is nobody's to allow: every token gets the same 404 or 405.
      const { scope = is404 ? 'any' : 'read', forOneExecution = is404 } = config
      if (caller.executionId !== undefined && !forOneExecution)
        throw new ExecutorError('FORBIDDEN', { detail: 'This token is for one execution, and may only watch it.' })
      if (scope === 'any' || caller.scopes.has(scope)) return
      throw new ExecutorError('FORBIDDEN', {
        detail: `This needs a token with the ${scope} scope; ${caller.name} has ${[...caller.scopes].join(', ')}.`,
      })
    }

    // Fastify wants no object as a shared start value; the hook sets them before anything reads them.
    app.decorateRequest('caller', null as unknown as Caller)
    app.decorateRequest('access', null as unknown as Access)
    app.addHook('onRequest', async (request) => {
      const { open } = request.routeOptions.config
      const admit = (access: Access): void => {
        request.access = access
        request.caller = access.caller
      }
      admit(NOBODY)
      // Liveness must not wait for the store.
      if (open !== true) admit(open ? await recognise(request) : await identify(request))
      if (!open) requireAllowed(request)
    })
    function toSent(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
      const { access, method } = request
      // What no hook has seen yet, such as a path that is not valid.
      if (!access) return payload
      // What was done is answered as done; what was only read is no longer this token's to see.
      if (access.ended !== undefined && (method === 'GET' || method === 'HEAD')) return toEnded(request, reply, payload)
      return payload instanceof Readable ? cutWithToken(request, payload) : payload
    }
    app.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done) =>
      done(null, toSent(request, reply, payload)),
    )
  },
  { name: 'auth', dependencies: ['errors', 'websocket'] },
)

/** A long answer is not sent to its end. */
function cutWithToken({ access }: FastifyRequest, payload: Readable): Readable {
  payload.once(
    'close',
    access.onEnd(() => payload.destroy(new Error('the token has ended'))),
  )
  return payload
}

/**
 * In place of what was read for a token that has ended meanwhile, in a long poll for instance. It is too late for an
 * error, which Fastify would answer in its own form where the answer is one already.
 */
function toEnded(request: FastifyRequest, reply: FastifyReply, payload: unknown): string {
  if (payload instanceof Readable) payload.destroy()
  for (const name of Object.keys(reply.getHeaders()))
    if (/^(?:content-.*|etag|location|link|preference-applied)$/.test(name)) reply.removeHeader(name)
  void reply
    .code(ERROR_TABLE.UNAUTHENTICATED.status)
    .type('application/problem+json')
    .header('www-authenticate', CHALLENGE)
  return `${JSON.stringify(toProblem(withdrawn(), request.id))}\n`
}
