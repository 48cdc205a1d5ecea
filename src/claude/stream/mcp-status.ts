import { setTimeout as wait } from 'node:timers/promises'
import type { McpServer } from '../../protocol/execute-request.js'
import type { EventData, NewEvent } from '../../protocol/events.js'
import { shorten, toRecord, toRecords, toText } from '../json-shape.js'
import type { Clock } from './result-phases.js'

export type McpServerState = EventData<'mcp.status'>['servers'][number]

/** Between two looks while servers are connecting. */
const POLL_MS = 200
/** A CLI that answers nothing for this long gets its first line all the same. */
const SILENCE_MS = 30_000
/**
 * The CLI's own limit (MCP_TIMEOUT) is the same as ours and began earlier: its verdict is waited for a moment longer.
 */
const GRACE_MS = 1_500
const TOOLS_SHOWN = 200
const ERROR_SHOWN = 500

export interface McpStatusOptions {
  readonly servers: Readonly<Record<string, McpServer>>
  /** All of them (true), or the named. */
  readonly required: boolean | readonly string[]
  /** How long servers may take to connect. */
  readonly limitMs: number
  /** Writes a line to the CLI; false: it takes none any more. */
  readonly send: (line: string) => boolean
}

/**
 * Follows the MCP servers that a request names. The CLI connects to them as soon as it is started and answers
 * `mcp_status` before its first line (measured, 2.1.197 and 2.1.332), so the prompt waits for them and not the other
 * way round.
 *
 * connecting → (all known, or the time is up) settled: from then on only changes are told.
 */
export class McpStatus {
  readonly #options: McpStatusOptions
  #states: readonly McpServerState[]
  #asked = 0
  #answered: ((servers: Record<string, unknown>[]) => void) | undefined
  readonly #lost = new Set<string>()
  #isSettled = false

  constructor(options: McpStatusOptions) {
    this.#options = options
    this.#states = Object.keys(options.servers).map((name) => ({ name, status: 'pending' }))
  }

  /** As last seen, in the request's order. */
  get states(): readonly McpServerState[] {
    return this.#states
  }

  /**
   * Resolves once every server is connected or has failed, at the latest after the limit; what it gives is the event of
   * it. The limit stands still with `startClock`: a paused CLI answers nothing, and its servers connect to nobody.
   */
  async connected(
    signal: AbortSignal,
    startClock: (milliseconds: number, onFire: () => void) => Clock,
  ): Promise<NewEvent[]> {
    const end = new AbortController()
    const over = end.signal
    const giveUp = (): void => end.abort()
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    let clock = startClock(SILENCE_MS, giveUp)
    for (let isFirst = true; ; isFirst = false) {
      const servers = await this.#ask(over)
      if (servers === undefined) break
      this.#states = this.#read(servers)
      if (isFirst) {
        clock.close()
        clock = startClock(this.#options.limitMs + GRACE_MS, giveUp)
      }
      if (over.aborted || this.#states.every(({ status }) => status !== 'pending')) break
      await wait(POLL_MS, undefined, { signal: over }).catch(() => undefined)
    }
    clock.close()
    signal.removeEventListener('abort', giveUp)
    const error = signal.aborted
      ? 'The run ended before it had connected.'
      : `It did not connect within ${this.#options.limitMs / 1_000} s.`
    this.#states = this.#states.map((state) =>
      state.status === 'pending' ? { ...state, error: state.error ?? error } : state,
    )
    this.#isSettled = true
    return [this.#toEvent()]
  }

  /** Of the required servers, those that are not connected. */
  unmet(): McpServerState[] {
    const { required } = this.#options
    return this.#states.filter(
      ({ name, status }) =>
        status !== 'connected' && (required === true || (required !== false && required.includes(name))),
    )
  }

  /** Looks again, unless a look is under way; the answer comes to `take`. */
  look(): void {
    if (this.#isSettled && this.#answered === undefined) this.#send()
  }

  /** A message of the control protocol; gives an event where a server's state has changed. */
  take(message: Record<string, unknown>): NewEvent[] {
    const response = toRecord(message['response'])
    if (message['type'] !== 'control_response' || response?.['request_id'] !== this.#requestId) return []
    const answered = this.#answered
    this.#answered = undefined
    const servers = toRecords(toRecord(response['response'])?.['mcpServers'])
    answered?.(servers)
    if (!this.#isSettled || servers.length === 0) return []
    const before = JSON.stringify(this.#states)
    // One that is connecting once more is told when it is known what has come of it.
    this.#states = this.#read(servers).map((state, index) =>
      state.status === 'pending' ? (this.#states[index] ?? state) : state,
    )
    return JSON.stringify(this.#states) === before ? [] : [this.#toEvent()]
  }

  /**
   * A line of the CLI. Of a server that has ended `mcp_status` goes on to say that it is connected (measured, both
   * versions);
   * what a call of its tools gives is the only sign. One that can be started again is, before the call.
   */
  hear(raw: string): NewEvent[] {
    const ended = this.#states.filter(
      ({ name, status }) => status === 'connected' && raw.includes(JSON.stringify(toLostText(name)).slice(1, -1)),
    )
    if (ended.length === 0) return []
    // Safe: the line was parsed before it came here, as an object.
    const message = toRecord((JSON.parse(raw) as Record<string, unknown>)['message'])
    const reported = toRecords(message?.['content'])
      .filter((block) => block['type'] === 'tool_result' && block['is_error'] === true)
      .map((block) => block['content'])
    const lost = ended.filter(({ name }) => reported.includes(toLostText(name)))
    if (lost.length === 0) return []
    for (const { name } of lost) this.#lost.add(name)
    this.#states = this.#states.map((state) => this.#correct(state))
    return [this.#toEvent()]
  }

  #correct(state: McpServerState): McpServerState {
    return this.#lost.has(state.name)
      ? { name: state.name, status: 'failed', error: 'It has exited and could not be restarted.' }
      : state
  }

  get #requestId(): string {
    return `mcp-status-${this.#asked}`
  }

  #send(answered: (servers: Record<string, unknown>[]) => void = () => undefined): boolean {
    this.#asked += 1
    this.#answered = answered
    return this.#options.send(
      `${JSON.stringify({ type: 'control_request', request_id: this.#requestId, request: { subtype: 'mcp_status' } })}\n`,
    )
  }

  /** undefined: no answer until `over`, or the CLI takes no line any more. */
  #ask(over: AbortSignal): Promise<Record<string, unknown>[] | undefined> {
    return new Promise((resolve) => {
      const giveUp = (): void => resolve(undefined)
      if (over.aborted) return giveUp()
      over.addEventListener('abort', giveUp, { once: true })
      const answered = (servers: Record<string, unknown>[]): void => {
        over.removeEventListener('abort', giveUp)
        resolve(servers)
      }
      if (!this.#send(answered)) giveUp()
    })
  }

  /** What the CLI tells holds commands, arguments and headers as well: only what is named here goes on. */
  #read(reported: readonly Record<string, unknown>[]): McpServerState[] {
    return Object.entries(this.#options.servers).map(([name, server]) => {
      const seen = reported.find((entry) => entry['name'] === name)
      const error = toText(seen?.['error'])
      const tools = toRecords(seen?.['tools']).flatMap((tool) => toText(tool['name']) ?? [])
      return this.#correct({
        name,
        status: toText(seen?.['status']) ?? 'pending',
        tools: tools.length === 0 ? undefined : tools.slice(0, TOOLS_SHOWN),
        error: error === undefined ? undefined : shorten(hideConfiguration(error, server), ERROR_SHOWN),
      })
    })
  }

  #toEvent(): NewEvent {
    return { type: 'mcp.status', data: { servers: [...this.#states] } }
  }
}

const toLostText = (name: string): string => `MCP server "${name}" is not connected`

/** An error may quote the command, a path with a user's name, or an address with a key in it. */
function hideConfiguration(error: string, server: McpServer): string {
  const values =
    'url' in server
      ? [server.url, ...partsOf(server.url), ...Object.values(server.headers ?? {})]
      : [server.command, ...(server.args ?? []), ...Object.values(server.env ?? {})]
  // The longest first: one may be a part of another.
  return values
    .filter((value) => value.length > 2)
    .sort((one, other) => other.length - one.length)
    .reduce((text, value) => text.replaceAll(value, '…'), error)
}

function partsOf(url: string): string[] {
  const { href, search, username, password } = new URL(url)
  return [href, search, username, password]
}
