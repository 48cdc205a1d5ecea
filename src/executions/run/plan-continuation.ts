import { join } from 'node:path'
import { continuationPrompt } from '../../claude/command/continuation-prompt.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import type { Transcript, TranscriptMark } from '../../claude/stream/transcript.js'
import { toDenials } from '../../claude/stream/classify-exit.js'
import type { Earlier } from '../../claude/stream/observation.js'
import type { ModelSums } from '../../claude/stream/usage-account.js'
import type { EventLog } from '../../events/event-log.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, OutcomeCode } from '../../protocol/execution.js'
import { estimateCostUsd } from '../records/estimate-cost.js'
import type { ApprovalRecord } from '../records/approval-record.js'
import type { ExecutionRecord, NextReason } from '../records/execution-record.js'
import { CLAUDE_FOLDER } from '../workspaces/renew-home.js'
import { findDecided, NOTHING_ASKED, readAskedCalls } from './earlier-approvals.js'
import { findSource, readOwnTranscript } from './plan-resumption.js'
import type { ExecutionReads } from '../store/execution-store.js'
import { readSessionHistory, type SessionHistory } from '../read/read-session-history.js'

/** How an attempt begins. */
export type Beginning = PossibleBeginning | { readonly kind: 'impossible'; readonly outcome: Outcome }

export interface PossibleBeginning {
  /** fresh: with the request's own prompt; resume: with what the attempt before this one had begun. */
  readonly kind: 'fresh' | 'resume'
  /** The request as this attempt hands it to the CLI. */
  readonly run: RunRequest
  /** Its session; undefined: a new one. */
  readonly sessionId?: string
  /** The session that this one goes on with or, where it is another, is a copy of. */
  readonly from?: string
  readonly mark?: TranscriptMark
  /** The approval for which it was parked; the session holds its call, to be taken up instead of the prompt. */
  readonly decided?: ApprovalRecord | undefined
  /** It may have been given already; the CLI may ask once more all the same. */
  readonly isSpent?: boolean
  /** What that session had used until now. */
  readonly sessionSums?: ModelSums
  /** Of a resumed session: the user's lines that it knows. */
  readonly lines?: ReadonlySet<string>
  readonly firstMessage: number
  readonly earlier?: Earlier
  /** What the attempt says before the CLI does: text that became void. */
  readonly firstEvents: readonly NewEvent[]
}

/** The session was in the middle of its task, and nothing was wrong with it. */
const UNFINISHED: ReadonlySet<NextReason> = new Set([
  'WORKER_LOST',
  'WORKER_STOPPING',
  'BUDGET_EXCEEDED',
  'TOOL_DEFERRED',
  'budget',
  'approval',
])

type Choice = { readonly kind: 'fresh' | 'resume' } | { readonly kind: 'impossible'; readonly why: string }

/**
 * Fresh, where nothing was done; resumed, where the session's transcript is here and knows of everything that was;
 * impossible otherwise, since what was done would be done again.
 */
export function chooseBeginning(
  reason: NextReason,
  history: SessionHistory,
  transcript: Transcript | undefined,
  neverRan = 0,
): Choice {
  const isUnfinished = UNFINISHED.has(reason)
  if (!history.hasAnswer && (transcript?.answers.size ?? 0) === 0) return { kind: 'fresh' }
  // The API failed before a tool was called: the prompt may be sent again.
  if (!isUnfinished && history.toolsStarted === 0 && (transcript?.toolResults.size ?? 0) === 0) return { kind: 'fresh' }
  // Everything that was asked for waited for people, and nobody allowed it.
  if (!transcript && history.toolsStarted > 0 && history.toolsStarted === neverRan) return { kind: 'fresh' }
  if (!transcript)
    return {
      kind: 'impossible',
      why:
        "the session's transcript is not on the worker that should continue (workers on several hosts must " +
        'share the data folder through a volume)',
    }
  const known = transcript.toolResults
  const lacking = [...history.finishedCalls].filter(([id, owner]) => !known.has(id) && !known.has(owner)).length
  if (lacking > 0)
    return {
      kind: 'impossible',
      why:
        `${lacking === 1 ? 'a tool call that had finished is' : `${lacking} tool calls that had finished are`} ` +
        "missing in the session's transcript and would have been repeated",
    }
  return { kind: 'resume' }
}

const ENDED: Partial<Record<NextReason, OutcomeCode>> = {
  WORKER_STOPPING: 'WORKER_LOST',
  approval: 'SESSION_NOT_FOUND',
  budget: 'SESSION_NOT_FOUND',
}

function toFailure(reason: NextReason, why: string, { earlier }: SessionHistory): Outcome {
  // Safe: every other reason is an outcome's code.
  const code = ENDED[reason] ?? (reason as OutcomeCode)
  return {
    status: 'failed',
    code,
    message:
      `The run was interrupted (${reason}) and could not be continued: ${why}. Check its workspace and ` +
      `events before running it again.${earlier.notices.map((notice) => ` ${notice}`).join('')}`,
    ...toDenials(earlier),
  }
}

/**
 * What is left of a budget after the attempts so far: the CLI holds `--max-budget-usd` against what its own process
 * spends, also in a resumed session.
 */
function withRest(
  run: RunRequest,
  { usage }: ExecutionRecord,
  { model }: SessionHistory,
  isResumed: boolean,
): RunRequest | undefined {
  const spentUsd = usage.isCostIncomplete === true ? estimateCostUsd(usage, model ?? run.model) : usage.costUsd
  const budget = run.maxBudgetUsd === undefined ? undefined : run.maxBudgetUsd - spentUsd
  if (budget !== undefined && budget <= 0) return undefined
  return {
    ...run,
    maxBudgetUsd: budget,
    maxTurns: isResumed && run.maxTurns !== undefined ? Math.max(1, run.maxTurns - usage.turns) : run.maxTurns,
  }
}

/** Changes of its limits that the log lacks: a worker has died before it had written them. */
const listUnsaid = ({ budgetChanges = [] }: ExecutionRecord, history: SessionHistory): NewEvent[] =>
  budgetChanges.slice(history.budgetChanges).map(({ at: _at, ...data }) => ({ type: 'execution.budget_changed', data }))

/** With the prompt as it was asked for: in a new session, or in the one that it was to go on with. */
async function beginFresh(
  { source }: ExecutionRecord,
  configDir: string,
  common: Pick<PossibleBeginning, 'run' | 'firstMessage' | 'firstEvents' | 'earlier'>,
): Promise<Beginning> {
  if (!source) return { kind: 'fresh', ...common }
  const found = await findSource(source.sessionId, configDir)
  if (found.kind === 'missing') return { kind: 'impossible', outcome: found.outcome }
  return {
    kind: 'fresh',
    ...common,
    from: found.sessionId,
    mark: found.mark,
    sessionSums: found.sums,
    sessionId: source.isForked ? undefined : found.sessionId,
  }
}

/**
 * Decides how the next attempt of an execution begins: the first one as it was asked for, a later one by what was done
 * until then.
 */
export async function planBeginning(
  record: ExecutionRecord,
  run: RunRequest,
  { log, home, store }: { log: EventLog; home: string; store: ExecutionReads },
): Promise<Beginning> {
  const reason = record.retryReason
  const configDir = join(home, CLAUDE_FOLDER)
  if (record.attempt === 0 || reason === undefined) {
    const unsaid = record.budgetChanges ? listUnsaid(record, await readSessionHistory(log, record.id)) : []
    return beginFresh(record, configDir, { run, firstMessage: 0, firstEvents: unsaid })
  }
  const { sessionId = '' } = record
  const history = await readSessionHistory(log, record.id)
  const transcript = await readOwnTranscript(record, configDir)
  const asked = record.approvalCount > 0 ? await readAskedCalls(store, record, history, transcript) : NOTHING_ASKED
  const choice = chooseBeginning(reason, history, transcript, asked.neverRan)
  if (choice.kind === 'impossible') return { kind: 'impossible', outcome: toFailure(reason, choice.why, history) }
  const isResumed = choice.kind === 'resume'
  const rest = withRest(run, record, history, isResumed)
  if (!rest)
    return {
      kind: 'impossible',
      outcome: {
        status: 'failed',
        code: 'BUDGET_EXCEEDED',
        message:
          record.usage.isCostIncomplete === true
            ? 'The attempts so far may have used up the budget of this run (maxBudgetUsd): one of them ended ' +
              'before its cost was reported, and its tokens are counted at the highest price of its model.'
            : 'The attempts so far have used up the budget of this run (maxBudgetUsd).',
        ...toDenials(history.earlier),
      },
    }
  // Of a fresh start everything that was said is void; of a resumed session what had not become a whole message.
  const voided = isResumed ? [...history.unfinished] : Array.from({ length: history.nextMessage }, (_, index) => index)
  const firstEvents = [
    ...listUnsaid(record, history),
    ...(run.partialText ? voided : []).map((message): NewEvent => ({ type: 'text.reset', data: { message } })),
  ]
  const common = { firstMessage: history.nextMessage, firstEvents, earlier: history.earlier }
  if (!isResumed) return beginFresh(record, configDir, { run: rest, ...common })
  const unspent = record.approvalCount > 0 ? await findDecided(store, record) : undefined
  const decided = unspent ?? asked.spent
  return {
    kind: 'resume',
    sessionId,
    from: sessionId,
    sessionSums: transcript?.sums,
    decided,
    isSpent: unspent === undefined,
    lines: transcript?.lines ?? new Set(),
    run: {
      ...rest,
      prompt: continuationPrompt(reason, {
        openCalls: [...history.openCalls].flatMap(([id, call]) => (asked.ids.has(id) ? [] : call)),
        lostTasks: [...history.lostTasks.values()],
        askedCalls: asked.calls,
        note: record.unparkNote,
      }),
      literalPrompt: true,
      onPermissionNeeded: decided ? 'ask' : rest.onPermissionNeeded,
    },
    ...common,
  }
}
