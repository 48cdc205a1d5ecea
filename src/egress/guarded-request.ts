import { lookup } from 'node:dns/promises'
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { matches, toName, toRule } from './host-rules.js'
import { isPublic } from './public-addresses.js'

/** Of an answer; the rest is not read, and nothing of it is kept. */
const ANSWER_LIMIT_BYTES = 64 * 1024

export type RequestFailure = 'ADDRESS_NOT_ALLOWED' | 'NAME_NOT_FOUND' | 'CONNECTION' | 'TIMEOUT'
export class GuardedRequestError extends Error {
  override readonly name = 'GuardedRequestError'
  readonly kind: RequestFailure

  constructor(kind: RequestFailure, message: string) {
    super(message)
    this.kind = kind
  }
}

interface Address {
  readonly address: string
  readonly family: number
}
/** Looks a name up; as `lookup` of node:dns with `all`. */
export type LookUp = (name: string) => Promise<readonly Address[]>
const lookUpName: LookUp = (name) => lookup(name, { all: true })

export interface AddressGuard {
  /** What may be connected to: for an address itself, for a name all that it leads to. @throws GuardedRequestError */
  resolve(url: URL): Promise<readonly Address[]>
  /** What is refused whatever a name leads to: an address, or a name of this machine. undefined: not known yet. */
  findRefusal(url: URL): string | undefined
}

const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80))
const isOfThisMachine = (name: string): boolean => /(?:^|\.)localhost$/.test(name)

/**
 * Only addresses of the internet, but for hosts that the operator has named: by their name with whatever it leads to,
 * or by their address.
 */
export function createAddressGuard(named: readonly string[], lookUp: LookUp = lookUpName): AddressGuard {
  const rules = named.map(toRule)
  const isNamed = (host: string, port: number): boolean => rules.some((rule) => matches(rule, host, port))
  const refuse = (host: string): string => `${host} is private, or of this machine`
  function findRefusal(url: URL): string | undefined {
    // A URL has IPv4 addresses of every notation as four numbers, and IPv6 ones shortened.
    const name = toName(url.hostname)
    if (isNamed(name, portOf(url))) return undefined
    const isRefused = isIP(name) === 0 ? isOfThisMachine(name) : !isPublic(name)
    return isRefused ? refuse(name) : undefined
  }
  return {
    findRefusal,
    async resolve(url) {
      const name = toName(url.hostname)
      const port = portOf(url)
      const refusal = findRefusal(url)
      if (refusal !== undefined) throw new GuardedRequestError('ADDRESS_NOT_ALLOWED', refusal)
      if (isIP(name) !== 0) return [{ address: name, family: isIP(name) }]
      const found = await lookUp(name).catch((error: unknown) => {
        throw new GuardedRequestError('NAME_NOT_FOUND', describe(error))
      })
      if (found.length === 0) throw new GuardedRequestError('NAME_NOT_FOUND', `${name} leads to no address`)
      if (isNamed(name, port)) return found
      // One that leads inside makes the name suspect as a whole: it may answer otherwise the next time.
      if (!found.every(({ address }) => isPublic(address) || isNamed(address, port)))
        throw new GuardedRequestError('ADDRESS_NOT_ALLOWED', `${name} leads to an address that is private`)
      return found
    },
  }
}

/** Codes only: a message could hold what the other side has written. */
function describe(error: unknown): string {
  // Safe: node's errors have one, and nothing else is read.
  const { code, name } = error as NodeJS.ErrnoException
  return code ?? name
}

export interface GuardedRequest {
  readonly url: string
  readonly headers: OutgoingHttpHeaders
  readonly body: string
  readonly signal: AbortSignal
}

export interface GuardedAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
}

/** Resolves when the answer has come whole, or as much of it as is looked at. */
function readThrough(answer: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= ANSWER_LIMIT_BYTES) return
      resolve()
      answer.destroy()
    })
    answer.once('end', () => resolve())
    answer.once('error', reject)
    answer.once('close', () => reject(new GuardedRequestError('CONNECTION', 'the answer ended in its middle')))
  })
}

/**
 * Posts to a URL. The addresses that were checked are those that are connected to, on a connection of its own; a
 * redirect is an answer like any other. @throws GuardedRequestError
 */
export async function postGuarded(
  guard: AddressGuard,
  { url: text, headers, body, signal }: GuardedRequest,
): Promise<GuardedAnswer> {
  const url = new URL(text)
  const addresses = await orAborted(guard.resolve(url), signal)
  // Not asked for an address, which is then the one that was checked.
  const lookUpChecked: LookupFunction = (_name, { all }, done) => {
    const [first] = addresses
    if (all === true) done(null, [...addresses])
    else done(null, first?.address ?? '', first?.family)
  }
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const asked = send(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    agent: false,
    lookup: lookUpChecked,
    signal,
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve)
    asked.on('error', reject)
  })
  asked.end(body)
  try {
    const answer = await answered
    const { statusCode = 0, headers: got } = answer
    // Of what is no success nothing more is of interest.
    if (statusCode >= 200 && statusCode < 300) await readThrough(answer)
    return { status: statusCode, retryAfter: got['retry-after'] }
  } catch (error) {
    if (error instanceof GuardedRequestError) throw error
    throw new GuardedRequestError(signal.aborted ? 'TIMEOUT' : 'CONNECTION', describe(error))
  } finally {
    asked.destroy()
  }
}

/** A look-up cannot be given up, but need not be waited for. */
function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new GuardedRequestError('TIMEOUT', 'the name was not looked up in time'))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
