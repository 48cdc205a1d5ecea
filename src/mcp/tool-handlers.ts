import { randomUUID } from 'node:crypto'
import type { ServerContext } from '@modelcontextprotocol/server'
import { joinSignals } from '../platform/abort-signals.js'
import type { Execution } from '../protocol/execution.js'
import { isTerminal } from '../protocol/execution.js'
import { TOOL_WAIT_LIMIT_SECONDS } from '../protocol/limits.js'
import {
  DEFAULT_CANCEL_WAIT_SECONDS,
  DEFAULT_WAIT_SECONDS,
  type ExecutorStatus,
  type ToolInput,
  type ToolName,
} from '../protocol/tools.js'
import { describeEvent, openProgress } from './report-progress.js'
import { reportExecution } from './report-execution.js'
import { askService, type ServiceAccess } from './service-access.js'
import type { ToolAnswer } from './tool-result.js'
import { verifyExecution, verifyLast } from './verify-execution.js'
import { waitForEnd } from './wait-for-end.js'

/** Beyond the waiting: so long the last question for the state may take. */
const LAST_LOOK_MS = 5_000

export type ToolHandlers = {
  readonly [Name in ToolName]: (input: ToolInput<Name>, context: ServerContext) => Promise<ToolAnswer>
}

/** All of a call ends at this limit, a service that had to be started first included. */
const callDeadline = (): AbortSignal => AbortSignal.timeout(TOOL_WAIT_LIMIT_SECONDS * 1_000)

/** What each tool does, on whatever service `access` leads to. Failures are thrown. */
export function createToolHandlers(access: ServiceAccess): ToolHandlers {
  /** Waits up to so many seconds, but not beyond the call's deadline, and reports what there is then. */
  async function waitAndReport(
    known: Execution,
    seconds: number,
    deadline: AbortSignal,
    context: ServerContext,
  ): Promise<ToolAnswer> {
    // A decision may take a day.
    if (isTerminal(known.status) || known.parkedUntil !== undefined) return reportExecution(known)
    const progress = openProgress(context, seconds)
    progress.report(known.status)
    let note: string | undefined
    // The end of the request ends the waiting, never the execution.
    const waiting = joinSignals([deadline, context.mcpReq.signal], seconds * 1_000)
    try {
      await waitForEnd(access, known.id, {
        signal: waiting.signal,
        onEvent(event) {
          const message = describeEvent(event)
          if (message !== undefined) progress.report(message)
          return event.type === 'execution.parked' && event.seq > known.lastSeq
        },
        onAway() {
          note = 'The connection to the service was lost meanwhile and was re-established.'
          progress.report('connection to the service lost; reconnecting')
        },
      })
      return reportExecution(
        await askService(access, AbortSignal.timeout(LAST_LOOK_MS), (client) => client.get(known.id)),
        { note },
      )
    } catch (error) {
      // Accepted is kept: the id is worth more to the caller than the error, which the next call will meet again.
      const why = error instanceof Error ? error.message : String(error)
      return reportExecution(known, {
        note: `${note === undefined ? '' : `${note} `}Its current state is unknown: ${why} This information is older.`,
      })
    } finally {
      waiting.release()
      progress.close()
    }
  }

  return {
    async execute({ waitSeconds = DEFAULT_WAIT_SECONDS, idempotencyKey = randomUUID(), ...request }, context) {
      const deadline = callDeadline()
      // With a key it may be sent again when the service goes away under it.
      const accepted = await askService(access, deadline, (client) => client.execute(request, { idempotencyKey }))
      return waitAndReport(accepted, waitSeconds, deadline, context)
    },
    async wait_for_execution({ executionId, waitSeconds = DEFAULT_WAIT_SECONDS }, context) {
      const deadline = callDeadline()
      const known = await askService(access, deadline, (client) => client.get(executionId))
      return waitAndReport(known, waitSeconds, deadline, context)
    },
    async get_execution({ executionId, resultOffset }) {
      return reportExecution(await askService(access, callDeadline(), (client) => client.get(executionId)), {
        resultOffset,
      })
    },
    async cancel_execution({ executionId, reason, waitSeconds = DEFAULT_CANCEL_WAIT_SECONDS }, context) {
      const deadline = callDeadline()
      const asked = await askService(access, deadline, (client) =>
        client.cancel(executionId, { reason: reason ?? 'cancel_execution' }),
      )
      return waitAndReport(asked, waitSeconds, deadline, context)
    },
    async verify_execution({ executionId, lastN }, context) {
      const { signal, release } = joinSignals([context.mcpReq.signal], TOOL_WAIT_LIMIT_SECONDS * 1_000)
      return askService(access, signal, (client) =>
        executionId === undefined
          ? verifyLast(client, lastN ?? 1, signal)
          : verifyExecution(client, executionId, signal),
      ).finally(release)
    },
    async get_executor_status() {
      return askService(access, callDeadline(), async (client) => {
        const [{ version, simulated, uptimeSeconds }, { status, parts }, queue] = await Promise.all([
          client.health(),
          client.ready(),
          client.queue(),
        ])
        const report: ExecutorStatus = {
          url: client.url,
          version,
          simulated,
          uptimeSeconds,
          isReady: status === 'ok',
          parts,
          queue,
        }
        const lines = [
          `CC Executor ${version} at ${client.url}: ` +
            `${status === 'ok' ? 'ready' : 'not ready'}.${simulated ? ' A scripted model answers, not Claude.' : ''}`,
          `${queue.running} running, ${queue.depth} waiting, capacity ${queue.capacity}.`,
          ...Object.entries(parts).map(
            ([name, part]) => `${name}: ${part.status === 'ok' ? '' : `${part.status}: `}${part.message}`,
          ),
        ]
        return { structured: report, text: lines.join('\n') }
      })
    },
  }
}
