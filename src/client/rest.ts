import { joinSignals } from '../platform/abort-signals.js'
import { definedFields } from '../protocol/defined-fields.js'
import { decodeProblem, parseJson, toBadAnswer, toClosed, toUnreachable } from './client-error.js'

/** Beyond the time that the service was asked to wait. */
const ANSWER_DEADLINE_MS = 30_000

export interface RestCall {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  /** The service was asked to hold the answer so long. */
  readonly waitSeconds?: number | undefined
  /** Answers with this status are no errors. */
  readonly accept?: readonly number[]
}

export interface Rest {
  /** Parsed JSON. @throws ClientError */
  json(call: RestCall): Promise<unknown>
  /** The body as it came. @throws ClientError */
  text(call: RestCall): Promise<string>
  /** The body to the byte. @throws ClientError */
  bytes(call: RestCall): Promise<Uint8Array>
}

interface RestOptions {
  readonly url: string
  readonly token: string | undefined
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal
  readonly onReached: () => void
}

/** One request, one answer, with a deadline; nothing is repeated by itself. */
export function createRest({ url, token, closing, onReached }: RestOptions): Rest {
  async function request<Body extends string | Uint8Array>(
    read: (response: Response) => Promise<Body>,
    { method = 'GET', path, query = {}, headers = {}, body, signal, waitSeconds = 0, accept = [] }: RestCall,
  ): Promise<Body> {
    const parameters = Object.entries(query).flatMap(([name, value]): Array<[string, string]> =>
      value === undefined ? [] : [[name, String(value)]],
    )
    const search = new URLSearchParams(parameters).toString()
    const stop = joinSignals([closing, ...(signal ? [signal] : [])], waitSeconds * 1_000 + ANSWER_DEADLINE_MS)
    try {
      const response = await fetch(`${url}${path}${search === '' ? '' : `?${search}`}`, {
        method,
        headers: definedFields({
          accept: 'application/json, text/plain;q=0.9',
          authorization: token === undefined ? undefined : `Bearer ${token}`,
          'content-type': body === undefined ? undefined : 'application/json',
          ...headers,
        }),
        body: body === undefined ? undefined : JSON.stringify(body),
        // An answer of the service's is never a redirect; what comes from elsewhere is told below.
        redirect: 'manual',
        signal: stop.signal,
      })
      const isWanted = response.ok || accept.includes(response.status)
      const answer = isWanted ? await read(response) : await response.text()
      onReached()
      // Safe: what is wanted was read by `read`.
      if (isWanted) return answer as Body
      throw decodeProblem(url, response.status, String(answer), response.headers.get('retry-after'))
    } catch (error) {
      if (closing.aborted) throw toClosed()
      // The caller's own abort stays what it is; fetch's failures are TypeErrors, the deadline a DOMException.
      if (signal?.aborted) throw error
      if (error instanceof TypeError || error instanceof DOMException) throw toUnreachable(url, error)
      throw error
    } finally {
      stop.release()
    }
  }

  const text = (call: RestCall): Promise<string> => request((response) => response.text(), call)
  return {
    text,
    bytes: (call) => request(async (response) => new Uint8Array(await response.arrayBuffer()), call),
    async json(call) {
      const answer = parseJson(await text(call))
      if (typeof answer !== 'object' || answer === null) throw toBadAnswer(url, 'An answer without JSON')
      return answer
    },
  }
}
