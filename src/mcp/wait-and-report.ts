import {
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
  type ClientCapabilities,
  type InputRequiredResult,
  type ServerContext,
} from '@modelcontextprotocol/server'
import * as z from 'zod'
import { createSharedStop, joinSignals } from '../platform/abort-signals.js'
import type { Approval, ApprovalDecision } from '../protocol/approvals.js'
import { parseInput } from '../protocol/errors.js'
import { isTerminal, type Execution } from '../protocol/execution.js'
import { ExecutionReference } from '../protocol/ids.js'
import { TOOL_WAIT_LIMIT_SECONDS } from '../protocol/limits.js'
import { readAnswer, takesForms, toForm, type Elicit } from './ask-client.js'
import { describeEvent, openProgress } from './report-progress.js'
import { reportExecution } from './report-execution.js'
import { askService, type ServiceAccess } from './service-access.js'
import { toToolError, type ToolAnswer } from './tool-result.js'
import { waitForEnd } from './wait-for-end.js'
import { watchApproval } from './watch-approval.js'

/** Beyond the waiting: so long the last question for the state may take. */
const LAST_LOOK_MS = 5_000

/** `retry`: the client is given the forms as the answer, and repeats its call with what was filled in. */
export type Asking = Elicit | 'retry'

export interface Waiting {
  /** Waits up to so many seconds, but not beyond the call's deadline, and reports what there is then. */
  waitAndReport(
    known: Execution,
    seconds: number,
    deadline: AbortSignal,
    context: ServerContext,
  ): Promise<ToolAnswer | InputRequiredResult>
  /** The execution that a repeated call is about. @throws ExecutorError */
  readRetried(context: ServerContext): string | undefined
}

/** All of a call ends at this limit, a service that had to be started first included. */
export const callDeadline = (): AbortSignal => AbortSignal.timeout(TOOL_WAIT_LIMIT_SECONDS * 1_000)

/**
 * What a client sends back with its repeated call. It names an execution as any argument does, and whose that is is
 * looked at as ever: there is nothing in it to be signed.
 */
const RequestState = z.strictObject({ requestState: z.strictObject({ executionId: ExecutionReference }) })

function toJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** As the request itself says. Safe: checked by the SDK; its types leave the envelope's own keys out. */
const capabilitiesOf = ({ mcpReq: { envelope = {} } }: ServerContext): ClientCapabilities | undefined =>
  (envelope as Partial<Record<string, ClientCapabilities>>)[CLIENT_CAPABILITIES_META_KEY]

/** Waiting for executions, and asking the person at the client meanwhile. */
export function createWaiting(access: ServiceAccess, asking: Asking): Waiting {
  /** Those that are pending, oldest first. */
  const readPending = async ({ pendingApprovalIds = [] }: Execution): Promise<Approval[]> =>
    Promise.all(pendingApprovalIds.map((id) => askService(access, callDeadline(), (service) => service.approval(id))))

  const look = (id: string): Promise<Execution> =>
    askService(access, AbortSignal.timeout(LAST_LOOK_MS), (service) => service.get(id))

  const isPending = async (executionId: string): Promise<boolean> =>
    look(executionId).then(
      ({ pendingApprovals = 0 }) => pendingApprovals > 0,
      () => false,
    )

  /** false: it is not this client's to decide. Where somebody was faster, what counts is read next. */
  async function decide(id: string, decision: ApprovalDecision): Promise<boolean> {
    try {
      await askService(access, callDeadline(), (service) => service.decide(id, decision))
      return true
    } catch (error) {
      const { code } = toToolError(error)
      if (code === 'FORBIDDEN') return false
      if (code === 'APPROVAL_CLOSED') return true
      throw error
    }
  }

  /** What the client brought with a repeated call; false: it leaves something open, and is not asked again. */
  async function decideBrought(known: Execution, { mcpReq: { inputResponses } }: ServerContext): Promise<boolean> {
    if (inputResponses === undefined) return true
    let isAllDecided = true
    for (const approval of await readPending(known)) {
      const brought = inputResponse(inputResponses, approval.id)
      if (brought.kind !== 'elicit') continue
      const decision = readAnswer(approval, brought)
      if (!decision || !(await decide(approval.id, decision))) isAllDecided = false
    }
    return isAllDecided
  }

  /** One after the other; false: one of them is left to the tools. */
  async function askAll(
    elicit: Elicit,
    approvals: readonly Approval[],
    context: ServerContext,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (const approval of approvals) {
      const watch = watchApproval(access, approval, signal)
      const answer = await elicit(toForm(approval), approval, context, watch.signal).finally(watch.release)
      if (watch.isClosed()) continue
      const decision = answer && readAnswer(approval, answer)
      if (!decision || !(await decide(approval.id, decision))) return false
    }
    return true
  }

  function toForms({ id }: Execution, approvals: readonly Approval[]): InputRequiredResult {
    const forms = approvals.map((approval) => [approval.id, inputRequired.elicit(toForm(approval))] as const)
    return inputRequired({
      inputRequests: Object.fromEntries(forms),
      requestState: JSON.stringify({ executionId: id }),
    })
  }

  return {
    readRetried({ mcpReq }) {
      const state = mcpReq.requestState()
      if (typeof state !== 'string') return undefined
      return parseInput(RequestState, { requestState: toJson(state) }).requestState.executionId
    },
    async waitAndReport(known, seconds, deadline, context) {
      const { status, parkedUntil, pendingApprovalIds } = known
      // What waits for a budget does not end by waiting.
      if (isTerminal(status) || (parkedUntil !== undefined && pendingApprovalIds === undefined))
        return reportExecution(known)
      const progress = openProgress(context, seconds)
      progress.report(status)
      let note: string | undefined
      // The end of the request ends the waiting, never the execution.
      const ends = [deadline, context.mcpReq.signal, ...(access.stopping ? [access.stopping] : [])]
      const waiting = joinSignals(ends, seconds * 1_000)
      try {
        let mayAsk = access.mayDecide !== false
        if (mayAsk) mayAsk = await decideBrought(known, context)
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
          const execution = await look(known.id)
          const approvals = await readPending(execution)
          const report = (): ToolAnswer => reportExecution(execution, { note, approvals })
          if (approvals.length === 0 || !mayAsk) return report()
          if (asking !== 'retry') {
            if (!(await askAll(asking, approvals, context, waiting.signal))) return report()
          } else {
            return takesForms(capabilitiesOf(context)) ? toForms(execution, approvals) : report()
          }
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
    },
  }
}
