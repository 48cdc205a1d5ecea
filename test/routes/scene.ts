// One service with a scripted CLI for the REST half of the protocol; each answer is held against /openapi.json as well.
import { request, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { openConformingCall } from '../support/conformance.js'
import { submitHeld, type HeldRun } from '../support/held-run.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService, type TestService } from '../support/service.js'
import { openWaiters } from '../support/waiters.js'
import { once } from '../support/deadlines.js'

export const TOKENS = {
  alice: 'alice-0123456789abcdef',
  bob: 'bob-0123456789abcdef',
  reader: 'reader-0123456789abcdef',
  runner: 'runner-0123456789abcdef',
}
export const UNKNOWN = '01900000-0000-7000-8000-000000000000'

type Options = Parameters<TestService['call']>[2] & { as?: keyof typeof TOKENS | 'nobody' }

export interface Frame {
  readonly id: number
  readonly event: Event
}

export async function openRest(
  t: Parameters<typeof openTestService>[0],
  { apis = 1, env = {} }: { apis?: number; env?: NodeJS.ProcessEnv } = {},
) {
  const service = await openTestService(t, {
    apis,
    env: {
      CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
      CC_EXECUTOR_TOKENS: `alice=${TOKENS.alice},bob=${TOKENS.bob},reader=${TOKENS.reader}:read,runner=${TOKENS.runner}:execute`,
      CC_EXECUTOR_ALLOWED_ORIGINS: 'https://console.example',
      ...env,
    },
  })
  const bare = await openConformingCall(service.call)
  const call = (method: string, path: string, { as = 'alice', headers, ...options }: Options = {}) =>
    bare.call(method, path, {
      ...options,
      headers: { ...(as !== 'nobody' && { authorization: `Bearer ${TOKENS[as]}` }), ...headers },
    })
  const { finished, until } = openWaiters(call)
  const submit = (body: Record<string, unknown>): Promise<Execution> =>
    call('POST', '/execute', { body }).then((answer) => answer.body)
  const run = async (body: Record<string, unknown>): Promise<Execution> => finished((await submit(body)).id)

  /** One that runs until the test says so. */
  async function held(more: Record<string, unknown> = {}): Promise<HeldRun> {
    const execution = await submitHeld(service.directory, (prompt) => submit({ prompt, ...more }))
    await until(execution.id, 'claude.message')
    return execution
  }
  const openStream = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Response> =>
    fetch(service.url() + path, {
      ...init,
      headers: { authorization: `Bearer ${TOKENS.alice}`, accept: 'text/event-stream', ...headers },
    })
  return { service, bare, call, submit, finished, until, run, held, openStream }
}

/** A request whose every header is the test's own. */
export async function rawRequest(
  base: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const sent = request(`${base}${path}`, { headers, setHost: headers['host'] === undefined, agent: false })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

export async function upgrade(
  base: string,
  path: string,
  headers: Record<string, string>,
  protocols: string[] = [],
): Promise<number> {
  const socket = new WebSocket(base.replace('http', 'ws') + path, protocols, { headers })
  socket.on('error', () => undefined)
  const status = await Promise.race([
    once(socket, 'open').then(() => 101),
    once(socket, 'unexpected-response').then(([, response]) => (response as IncomingMessage).statusCode ?? 0),
  ])
  socket.terminate()
  return status
}

export async function* readFrames(response: Response): AsyncGenerator<Frame> {
  let rest = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    rest += chunk
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      const frame = /^id: (\d+)\ndata: (.*)$/s.exec(rest.slice(0, end))
      rest = rest.slice(end + 2)
      if (frame) yield { id: Number(frame[1]), event: JSON.parse(frame[2] ?? '') as Event }
    }
  }
}

export async function collectFrames(response: Response): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of readFrames(response)) frames.push(frame)
  return frames
}
export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
