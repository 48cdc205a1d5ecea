import type { OnControl } from '../../claude/stream/control-lines.js'
import type { ToolCall } from '../../claude/stream/permission-denial.js'
import { createTranslator } from '../../claude/stream/translate-message.js'
import { fingerprintsOf } from '../../history/fingerprint.js'
import type { RunJournal } from '../claim/run-journal.js'
import { toLogReading } from '../conclude/log-reading.js'
import type { ApprovalRecord } from '../records/approval-record.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { runOf } from '../../claude/command/run-request.js'
import type { HeldClaim } from './held-claim.js'
import type { PreparedRun } from './prepared-run.js'
import { MessageDesk } from './message-desk.js'
import { RunAttempt } from './run-attempt.js'
import { followServers } from './run-servers.js'

/** An attempt that the record says is running; its CLI is let go by `attempt.run()`. */
export interface StartedAttempt {
  readonly kind: 'started'
  readonly prepared: PreparedRun
  readonly attempt: RunAttempt
  readonly journal: RunJournal
}

export async function startAttempt(
  claim: HeldClaim,
  prepared: PreparedRun,
): Promise<StartedAttempt | { readonly kind: 'cancelled' } | { readonly kind: 'stale' }> {
  const { record, run, beginning, reach } = prepared
  const answer = await storeStart(claim, prepared)
  const { figures, store } = claim.services
  if (answer.kind === 'started' && claim.attempt === 1)
    figures?.waited(Math.max(0, (await store.recentNow()) - record.createdAt) / 1_000)
  if (answer.kind !== 'started') return answer.kind === 'cancelled' ? { kind: 'cancelled' } : { kind: 'stale' }
  claim.written = toLogReading(answer.batches, answer.lastSeq)
  const journal = claim.openJournal(claim.attempt, answer.lastSeq)
  const servers = followServers({
    run: beginning.run,
    limitSeconds: claim.services.config.mcpTimeoutSeconds,
    child: prepared.child,
    report: (events) => journal.write(events),
  })
  const { executionId } = claim
  const desk = new MessageDesk({
    executionId,
    store: claim.services.store,
    report: (events) => journal.write(events),
    known: beginning.lines,
    load: prepared.attachments.load,
    onError: (err) => claim.services.logger.warn({ executionId, err }, 'messages were not read; tried again'),
  })
  // The translator is a part of the attempt, which takes what it has no event for.
  let onControl: OnControl = () => []
  const attempt = new RunAttempt({
    services: claim.services,
    credential: claim.credential,
    executionId: record.id,
    fence: claim.fence,
    run: beginning.run,
    command: prepared.command,
    folders: prepared.folders,
    child: prepared.child,
    journal,
    answerSchema: prepared.answerSchema,
    owner: record.owner,
    ranMs: record.ranMs,
    decided: beginning.decided,
    isSpent: beginning.isSpent === true,
    canKeep: record.retryReason !== 'TOOL_DEFERRED',
    sessionId: prepared.sessionId,
    budgetChangesKnown: record.budgetChanges?.length ?? 0,
    servers,
    desk,
    translator: createTranslator({
      partialText: run.partialText,
      rawPartials: run.rawPartials,
      firstMessage: beginning.firstMessage,
      sessionSums: beginning.sessionSums,
      earlier: beginning.earlier,
      takenUp: beginning.decided && toTakenUp(beginning.decided),
      onControl: (message, own) => onControl(message, own),
      onReplay: desk.seen,
      mask: prepared.mask,
    }),
    onProgress: claim.context.onProgress,
    onFirstOutput: prepared.leaveGate,
    attempt: claim.attempt,
    persist: (store) => claim.persist(store),
  })
  onControl = attempt.takeControl
  claim.begin(attempt)
  await journal.write(beginning.firstEvents)
  reach.listen((event) => void journal.write([event]).catch(() => undefined))
  return { kind: 'started', prepared, attempt, journal }
}

const toTakenUp = ({ asked: { toolUseId, tool, input } }: ApprovalRecord): ToolCall => ({
  id: toolUseId,
  name: tool,
  input,
})

/** By what its duration is remembered: as it was asked for, in whichever attempt. */
function toFingerprints(record: ExecutionRecord): string[] {
  const { prompt, model, effort, session } = runOf(record)
  const isNamed = record.request.workspace !== undefined && session === undefined
  const workspace = isNamed ? record.workspaceLock : undefined
  return fingerprintsOf({ owner: record.owner, prompt, model, effort, workspace, tasks: 1 })
}

async function storeStart(
  { services, fence, attempt, credential }: HeldClaim,
  {
    record,
    run,
    beginning,
    sessionId,
    command,
    attachments,
    projectInstructions,
    worktree,
    repository,
    mask,
    child,
    reach,
    standby,
  }: PreparedRun,
) {
  const { store, config, claude, workerId } = services
  return store.start(
    record.id,
    fence,
    {
      startedAt: new Date(await store.now()),
      attempt,
      sessionId,
      mark: beginning.mark,
      simulated: config.simulatorUrl !== undefined,
      fingerprints: toFingerprints(record),
      folders: standby && { home: record.home, workspace: record.workspace },
    },
    {
      type: 'execution.started',
      data: {
        attempt,
        workerId,
        pid: child.pid,
        pgid: child.pgid,
        claudeVersion: claude?.version ?? '',
        sessionId,
        workspace: record.workspace,
        repository: repository?.started,
        argv: command.argv.map(mask.text),
        containment: reach.containment,
        credential: credential.name,
        resumed: beginning.kind === 'resume' || undefined,
        model: run.model,
        attachments: attachments.sent,
        projectInstructions,
        worktree: worktree?.started,
        standby,
      },
    },
    record.taskIndex === undefined
      ? undefined
      : { type: 'task.started', data: { index: record.taskIndex, executionId: record.id, status: 'running' } },
  )
}
