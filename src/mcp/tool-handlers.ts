import { randomUUID } from 'node:crypto'
import type { InputRequiredResult, ServerContext } from '@modelcontextprotocol/server'
import { joinSignals } from '../platform/abort-signals.js'
import { TOOL_WAIT_LIMIT_SECONDS } from '../protocol/limits.js'
import {
  DEFAULT_CANCEL_WAIT_SECONDS,
  DEFAULT_WAIT_SECONDS,
  type ExecutorStatus,
  type ToolInput,
  type ToolName,
} from '../protocol/tools.js'
import { describeApproval, reportExecution } from './report-execution.js'
import { askService, type ServiceAccess } from './service-access.js'
import { describeMessage } from '../protocol/messages.js'
import type { ToolAnswer } from './tool-result.js'
import { verifyExecution, verifyLast } from './verify-execution.js'
import { callDeadline, createWaiting, type Asking } from './wait-and-report.js'

export type ToolHandlers = {
  readonly [Name in ToolName]: (
    input: ToolInput<Name>,
    context: ServerContext,
  ) => Promise<ToolAnswer | InputRequiredResult>
}

/** What each tool does, on whatever service `access` leads to. Failures are thrown. */
export function createToolHandlers(access: ServiceAccess, asking: Asking): ToolHandlers {
  const { waitAndReport, readRetried } = createWaiting(access, asking)

  return {
    async execute({ waitSeconds = DEFAULT_WAIT_SECONDS, idempotencyKey = randomUUID(), ...request }, context) {
      const deadline = callDeadline()
      const retried = readRetried(context)
      const accepted = await askService(access, deadline, (client) =>
        // With a key it may be sent again when the service goes away under it.
        retried === undefined ? client.execute(request, { idempotencyKey }) : client.get(retried),
      )
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
