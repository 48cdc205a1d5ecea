import { toApprovedPermissions, type ApprovedPermissions } from '../../claude/command/approved-permissions.js'
import type { AskedCall } from '../../claude/command/continuation-prompt.js'
import type { Transcript } from '../../claude/stream/transcript.js'
import type { ApprovalRecord } from '../records/approval-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { SessionHistory } from '../read/read-session-history.js'
import type { ExecutionReads } from '../store/execution-store.js'

/**
 * What people have allowed for the rest of an execution, in all attempts so far. `decided`: the CLI is told of it when
 * it asks, and must ask.
 */
export async function readApproved(
  store: ExecutionReads,
  id: string,
  decided?: Pick<ApprovalRecord, 'id'>,
): Promise<ApprovedPermissions> {
  const approvals = await store.listApprovalsOf(id)
  const allowed = approvals.filter((approval) => approval.status === 'allowed' && approval.id !== decided?.id)
  const updates = allowed.flatMap(({ decision, asked }) => (decision?.appliesTo === 'execution' ? asked.updates : []))
  const plan = allowed.findLast(({ asked }) => asked.kind === 'plan')
  // An approved plan ends plan mode, and a later attempt must not begin in it.
  return toApprovedPermissions(updates, plan && (plan.decision?.permissionMode ?? 'default'))
}

/**
 * The approval for which an execution was parked, decided: its call waits in the session, as nothing has been started
 * there since. Once a CLI was let go that takes the call up, it may have run, and is not given again.
 */
export async function findDecided(
  store: ExecutionReads,
  { id, attempt }: Pick<ExecutionRecord, 'id' | 'attempt'>,
): Promise<ApprovalRecord | undefined> {
  const approval = (await store.listApprovalsOf(id)).findLast(({ parkedAt }) => parkedAt === attempt)
  return approval && approval.status !== 'pending' && approval.status !== 'withdrawn' ? approval : undefined
}

/** The calls of the last attempt that waited for people, as far as the session does not tell what came of them. */
export interface AskedCalls {
  readonly calls: readonly AskedCall[]
  /** The ids of those calls. */
  readonly ids: ReadonlySet<string>
  /** One of them that was parked for, and that the attempt was to take up. */
  readonly spent?: ApprovalRecord | undefined
  /** How many calls of the attempt cannot have run. */
  readonly neverRan: number
}

export const NOTHING_ASKED: AskedCalls = { calls: [], ids: new Set(), neverRan: 0 }

const FATES = {
  pending: 'undecided',
  withdrawn: 'undecided',
  expired: 'denied',
  denied: 'denied',
  allowed: 'allowed',
  answered: 'answered',
} as const

function tellSaid({ status, asked, decision }: ApprovalRecord): string | undefined {
  if (status === 'expired') return 'Nobody decided in time.'
  if (status === 'allowed')
    return decision?.input === undefined ? undefined : `with the input ${JSON.stringify(decision.input)}`
  const answers = decision?.answers?.map(
    ({ questionIndex, labels = [], text }) =>
      `${asked.questions?.[questionIndex]?.question ?? ''}: ${[...labels, text ?? ''].filter((word) => word !== '').join(', ')}`,
  )
  return answers && answers.length > 0 ? answers.join('; ') : decision?.message
}

export async function readAskedCalls(
  store: ExecutionReads,
  { id, attempt }: Pick<ExecutionRecord, 'id' | 'attempt'>,
  history: Pick<SessionHistory, 'finishedCalls'>,
  transcript: Transcript | undefined,
): Promise<AskedCalls> {
  // What it took up was asked by an attempt before it.
  const ofAttempt = (await store.listApprovalsOf(id)).filter(
    ({ asked, parkedAt }) => asked.attempt === attempt || (parkedAt !== undefined && parkedAt >= attempt - 1),
  )
  // An interrupt leaves a result that says that the user has refused it: nobody has.
  const open = ofAttempt.filter(
    ({ status, asked: { toolUseId } }) =>
      FATES[status] === 'undecided' ||
      !(history.finishedCalls.has(toolUseId) || (transcript?.toolResults.has(toolUseId) ?? false)),
  )
  return {
    calls: open.map((approval) => ({
      name: approval.asked.tool,
      input: JSON.stringify(approval.asked.input),
      fate: FATES[approval.status],
      said: tellSaid(approval),
    })),
    ids: new Set(open.map(({ asked }) => asked.toolUseId)),
    spent: open.findLast(({ parkedAt }) => parkedAt !== undefined && parkedAt < attempt),
    neverRan: open.filter(({ status }) => FATES[status] !== 'allowed').length,
  }
}
