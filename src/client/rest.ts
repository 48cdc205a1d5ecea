import { joinSignals } from '../platform/abort-signals.js'
import { definedFields } from '../protocol/defined-fields.js'
import { decodeProblem, parseJson, toBadAnswer, toClosed, toUnreachable, type ClientError } from './client-error.js'
import { requestHttp } from './http-request.js'

/** Beyond the time that the service was asked to wait. */
const ANSWER_DEADLINE_MS = 30_000

export interface RestCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
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

/** As the answers of `fetch` are read: without a byte order mark. */
const decodeUtf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** One request, one answer, with a deadline; nothing is repeated by itself. */
export function createRest({ url, token, closing, onReached }: RestOptions): Rest {
  async function request({
    method = 'GET',
    path,
    query = {},
    headers = {},
    body,
    signal,
    waitSeconds = 0,
    accept = [],
  }: RestCall): Promise<Uint8Array> {
    const parameters = Object.entries(query).flatMap(([name, value]): Array<[string, string]> =>
      value === undefined ? [] : [[name, String(value)]],
    )
    const search = new URLSearchParams(parameters).toString()
    let refused: ClientError
    const stop = joinSignals([closing, ...(signal ? [signal] : [])], waitSeconds * 1_000 + ANSWER_DEADLINE_MS)
    try {
      const answer = await requestHttp(`${url}${path}${search === '' ? '' : `?${search}`}`, {
        method,
        headers: definedFields({
          accept: 'application/json, text/plain;q=0.9',
          authorization: token === undefined ? undefined : `Bearer ${token}`,
          'content-type': body === undefined ? undefined : 'application/json',
          ...headers,
        }),
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: stop.signal,
      })
      onReached()
      const { status } = answer
      if ((status >= 200 && status < 300) || accept.includes(status)) return answer.body
      refused = decodeProblem(url, status, decodeUtf8(answer.body), answer.retryAfter)
    } catch (error) {
      if (closing.aborted) throw toClosed()
      // The caller's own abort stays what it is.
      if (signal?.aborted) throw error
      throw toUnreachable(url, error)
    } finally {
      stop.release()
    }
    throw refused
  }

  const text = async (call: RestCall): Promise<string> => decodeUtf8(await request(call))
  return {
    text,
    bytes: request,
    async json(call) {
      const answer = parseJson(await text(call))
      if (typeof answer !== 'object' || answer === null) throw toBadAnswer(url, 'An answer without JSON')
      return answer
    },
  }
}
