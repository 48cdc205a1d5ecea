import { McpStatus, type McpServerState } from '../../claude/stream/mcp-status.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import type { NewEvent } from '../../protocol/events.js'
import type { RunClocks } from './run-clocks.js'
import { stopCauses, type RunStopCause } from './stop-causes.js'

/** The MCP servers that a run's request names. */
export interface RunServers {
  /** As they were seen last. */
  readonly states: readonly McpServerState[]
  /**
   * Resolves when the prompt may be sent: it is known which servers are there. Without those that are required it is
   * not sent at all. `over`: there is nothing left to wait for. `startClock` starts one that stands still in a pause.
   */
  connect(over: AbortSignal, startClock: RunClocks['start'], end: (cause: RunStopCause) => void): Promise<void>
  /** What the run has said; gives what follows from it: a server that is lost shows in what a call of it gives. */
  note(events: readonly NewEvent[]): NewEvent[]
  /** A message of the control protocol. */
  take(message: Record<string, unknown>): NewEvent[]
}

export interface ServersOptions {
  readonly run: Pick<RunRequest, 'mcpServers' | 'mcpRequired'>
  readonly limitSeconds: number
  readonly child: Pick<ClaudeProcess, 'stdin'>
  readonly report: (events: readonly NewEvent[]) => Promise<void>
}

/** undefined: the request names none. */
export function followServers({
  run: { mcpServers = {}, mcpRequired = false },
  limitSeconds,
  child: { stdin },
  report,
}: ServersOptions): RunServers | undefined {
  if (Object.keys(mcpServers).length === 0) return undefined
  const status = new McpStatus({
    servers: mcpServers,
    required: mcpRequired,
    limitMs: limitSeconds * 1_000,
    send: (line) => stdin.writable && (stdin.write(line), true),
  })
  return {
    get states() {
      return status.states
    },
    async connect(over, startClock, end) {
      await report(await status.connected(over, startClock))
      // Whoever has stopped the run, or how its CLI ended, is the cause of its end.
      if (over.aborted) return
      const unmet = status.unmet().map(({ name, status: word, error }) => `${name} (${error ?? word})`)
      if (unmet.length > 0) end(stopCauses.serversMissing(unmet))
    },
    note(events) {
      // The CLI has just spoken, and answers at once: silence stays silence.
      if (events.some(({ type }) => type === 'tool.finished')) status.look()
      return events.flatMap((event) => ('rawMessage' in event ? status.hear(event.rawMessage) : []))
    },
    take: (message) => status.take(message),
  }
}
