import { randomUUID } from 'node:crypto'
import type { ServerContext } from '@modelcontextprotocol/server'
import { createSharedStop, joinSignals } from '../platform/abort-signals.js'
import { ClientError } from '../client/client-error.js'
import type { Execution } from '../protocol/execution.js'
import type { Approval } from '../protocol/approvals.js'
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
import { describeApproval, reportExecution } from './report-execution.js'
import type { AskClient } from './ask-client.js'
import { askService, type ServiceAccess } from './service-access.js'
import { describeMessage } from '../protocol/messages.js'
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
export function createToolHandlers(access: ServiceAccess, askClient: AskClient): ToolHandlers {
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
    const look = (): Promise<Execution> =>
      askService(access, AbortSignal.timeout(LAST_LOOK_MS), (client) => client.get(known.id))
    try {
      for (;;) {
        // What waits for a person does not end by waiting.
        const asked = createSharedStop()
        const either = joinSignals([waiting.signal, asked.signal])
        await waitForEnd(access, known.id, {
          signal: either.signal,
          onEvent(event) {
            if (event.type === 'approval.requested') void isPending(known.id).then((is) => is && asked.abort())
            const message = describeEvent(event)
            if (message !== undefined) progress.report(message)
            return event.type === 'execution.parked' && event.seq > known.lastSeq
          },
          onAway() {
            note = 'The connection to the service was lost meanwhile and was re-established.'
            progress.report('connection to the service lost; reconnecting')
          },
        }).finally(either.release)
        const execution = await look()
        const approvals = await readPending(execution)
        const isAnswered = approvals.length > 0 && (await askAll(approvals, context, waiting.signal))
        if (!isAnswered) return reportExecution(execution, { note, approvals })
      }
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

  /** Those that are pending, oldest first. */
  async function readPending({ pendingApprovalIds = [] }: Execution): Promise<Approval[]> {
    return Promise.all(
      pendingApprovalIds.map((id) => askService(access, callDeadline(), (client) => client.approval(id))),
    )
  }

  const isPending = async (executionId: string): Promise<boolean> =>
    askService(access, AbortSignal.timeout(LAST_LOOK_MS), (client) => client.get(executionId)).then(
      ({ pendingApprovals = 0 }) => pendingApprovals > 0,
      () => false,
    )

  /** By the client, one after the other; false: one of them is left to the tools. */
  async function askAll(approvals: readonly Approval[], context: ServerContext, signal: AbortSignal): Promise<boolean> {
    for (const approval of approvals) {
      const decision = await askClient(approval, context, signal)
      if (!decision) return false
      // Somebody may have been faster: what counts is read next.
      await askService(access, callDeadline(), (client) => client.decide(approval.id, decision)).catch(
        (error: unknown) => {
          if (!(error instanceof ClientError) || error.code !== 'APPROVAL_CLOSED') throw error
        },
      )
    }
    return true
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
    async send_message({ executionId, idempotencyKey = randomUUID(), ...message }) {
      const sent = await askService(access, callDeadline(), (client) =>
        client.send(executionId, message, { idempotencyKey }),
      )
      return { structured: sent, text: describeMessage(sent) }
    },
    async verify_execution({ executionId, lastN }, context) {
      const { signal, release } = joinSignals([context.mcpReq.signal], TOOL_WAIT_LIMIT_SECONDS * 1_000)
      return askService(access, signal, (client) =>
        executionId === undefined
          ? verifyLast(client, lastN ?? 1, signal)
          : verifyExecution(client, executionId, signal),
      ).finally(release)
    },
    async list_approvals(filters) {
      const page = await askService(access, callDeadline(), (client) => client.approvals(filters))
      const lines = page.approvals.map(describeApproval)
      return { structured: page, text: lines.length === 0 ? 'There is none.' : lines.join('\n') }
    },
    async decide_approval({ approvalId, ...decision }) {
      const approval = await askService(access, callDeadline(), (client) => client.decide(approvalId, decision))
      return {
        structured: approval,
        text: `${approval.status}. Call wait_for_execution with executionId ${approval.executionId} for what follows.`,
      }
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
