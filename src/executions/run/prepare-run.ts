import { randomUUID } from 'node:crypto'
import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import { type RunRequest, runOf } from '../../claude/command/run-request.js'
import { LoginError } from '../../claude/install/login-keeper.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { RunSandbox } from '../claim/run-reach.js'
import type { WaitingCli } from '../claim/standby.js'
import type { StartGate } from '../claim/start-gate.js'
import { answerSchemaOf } from '../json-mode/answer-schema.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { withBudget } from '../records/plan-budget.js'
import { otherModel } from '../submit/join-session.js'
import { beginEvidence } from './collect-evidence.js'
import type { HeldClaim } from './held-claim.js'
import { keepDecided } from './keep-call.js'
import { openLoader } from './load-attachments.js'
import { openFolders, type OpenedFolders } from './open-folders.js'
import { planCommand } from './plan-command.js'
import { planBeginning } from './plan-continuation.js'
import type { PreparedRun, Unstarted } from './prepared-run.js'
import { requireAble, type Able } from './require-able.js'
import { openReach, spawnRun } from './run-process.js'
import { maskOf } from './run-secrets.js'
import {
  failed,
  isScarce,
  refused,
  toAttachmentFailure,
  toErrorText,
  toFolderFailure,
  toSpawnFailure,
} from './start-failures.js'
import { handOver, handReach, isSame, takeStandby } from './take-standby.js'

/** A CLI that has said nothing for so long is not starting any more, whatever it does: the next may start. */
const START_LIMIT_MS = 5_000

/**
 * Everything between a claim and a CLI that can be let go, in the order in which it may be refused: the record, the
 * worker, the folders, where to begin, the operator's hooks, the login, the start itself. Where a CLI on standby is
 * just what the run wants, it has its folders and needs no start; where one turns out not to be, the run starts as if
 * there were none.
 */
export async function prepareRun(claim: HeldClaim, record: ExecutionRecord): Promise<PreparedRun | Unstarted> {
  const { services, credential } = claim
  const able = await requireAble(services, credential, record)
  if (able.kind !== 'able') return able
  const handed = await prepareHandedOver(claim, record, able)
  if (handed !== 'unfit') return handed
  const opened = await openFolders(claim, record)
  if (opened.kind !== 'opened') return opened
  const prepared = await prepareIn(claim, record, able, opened)
  if (prepared === 'unfit') throw new Error('a run without a CLI on standby cannot be unfit for it')
  return prepared
}

/** In the hands of a CLI on standby, which goes back to where it stood unless this is the run that it gets. */
async function prepareHandedOver(
  claim: HeldClaim,
  record: ExecutionRecord,
  able: Able,
): Promise<PreparedRun | Unstarted | 'unfit'> {
  const waiting = takeStandby(claim, record, able)
  if (!waiting) return 'unfit'
  let isHandedOver = false
  try {
    const { folders, workspace } = waiting
    const opened = { kind: 'opened', folders, workspace, worktree: undefined, repository: undefined } as const
    const prepared = await prepareIn(claim, record, able, opened, waiting)
    isHandedOver = prepared !== 'unfit' && prepared.kind === 'prepared'
    return prepared
  } finally {
    if (!isHandedOver) waiting.giveBack()
  }
}

async function prepareIn(
  claim: HeldClaim,
  record: ExecutionRecord,
  able: Able,
  opened: OpenedFolders,
  waiting?: WaitingCli,
): Promise<PreparedRun | Unstarted | 'unfit'> {
  const { services } = claim
  const { config, log } = services
  const { folders, workspace, worktree, repository } = opened
  const run = withBudget(withTimeout(runOf(record), record), record, config)
  const planned = await planBeginning(record, run, { log, home: folders.home, store: services.store })
  if (planned.kind === 'impossible') return refused(planned.outcome)
  const beginning = await keepDecided(planned, folders)
  // It was accepted when the service had another model.
  const simulated = config.simulatorUrl !== undefined
  if (beginning.from !== undefined && record.simulated !== simulated)
    return refused(failed('SESSION_NOT_FOUND', `The session cannot continue: ${otherModel(simulated)}`))
  const sessionId = beginning.sessionId ?? waiting?.sessionId ?? randomUUID()
  const answerSchema = answerSchemaOf(run, record.id)
  // First, so that what they do in the workspace does not count as the run's.
  const go = await claim.hooks.beforeStart(record, workspace)
  if (go.kind === 'stopped') return { kind: 'stopped', folders }
  if (go.kind === 'refused') return refused(go.outcome)
  const load = openLoader(services, record, workspace.address)
  // A session that is resumed has them already.
  const wanted = beginning.kind === 'fresh' ? record.request.attachments : undefined
  const attached = await load(wanted).catch(toAttachmentFailure)
  if ('status' in attached) return refused(attached)
  const parts = { claude: able.claude, run, beginning, sessionId, blocks: attached.blocks, ...opened }
  const { command, projectInstructions } = await planCommand(claim, record, parts)
  if (waiting && !isSame(waiting.command, command)) return 'unfit'
  const reach = waiting
    ? handReach(waiting, command)
    : await openOwnReach(claim, record, { ...opened, level: able.level, planned: command })
  if ('kind' in reach) return reach
  const attachments = { sent: attached.sent, load }
  const prepared = { record, run, beginning, answerSchema, sessionId, folders, reach, attachments }
  const shown = { worktree, repository, projectInstructions }
  const mask = await maskOf(services, run)
  // Before there is a process: its warden is heard from only later.
  const evidence = await beginEvidence(record, folders, workspace, config)
  // Of a worker that dies nothing else is left.
  if (run.onWorkerLost === 'continue') await evidence.keep().catch(() => undefined)
  const whole = { kind: 'prepared', ...prepared, ...shown, command: reach.command, mask, evidence } as const
  if (waiting) {
    const handed = await handOver(claim, record, waiting)
    if (handed) return { ...whole, ...handed, standby: true }
    evidence.close()
    return 'unfit'
  }
  const leaveGate = await enterGate(services.startGate)
  try {
    const { binary } = able.claude
    const child = await spawnRun(services, { reach, folders, workspace, marker: claim.marker, binary })
    return { ...whole, child, leaveGate, standby: undefined }
  } catch (error) {
    leaveGate()
    evidence.close()
    return isScarce(error) ? { kind: 'scarce', folders, why: toErrorText(error) } : refused(toSpawnFailure(error))
  }
}

/** What `timeoutSeconds: "auto"` stands for. */
const withTimeout = (run: RunRequest, { timeoutEstimate }: ExecutionRecord): RunRequest =>
  timeoutEstimate ? { ...run, timeoutSeconds: timeoutEstimate.timeoutSeconds } : run

/** Its sandbox, proxy and login, until the claim is over, whatever happens from here on. */
async function openOwnReach(
  { services, credential, lifetime }: HeldClaim,
  record: ExecutionRecord,
  {
    level,
    folders,
    worktree,
    planned,
  }: Pick<OpenedFolders, 'folders' | 'worktree'> & { level: SandboxLevel; planned: ClaudeCommand },
): Promise<RunSandbox | Unstarted> {
  try {
    const openings = worktree ? [worktree.opening] : []
    const reach = await openReach(services, credential, record, { level, folders, planned, openings })
    return lifetime.own('sandbox', reach, (opened) => opened.close())
  } catch (error) {
    if (!(error instanceof LoginError)) return refused(toFolderFailure(error))
    if (error.isTransient) return { kind: 'delayed', folders, outcome: failed('CLAUDE_OVERLOADED', error.message) }
    const outcome = failed('CLAUDE_NOT_AUTHENTICATED', error.message)
    // It is not offered any more, unless it is all that there is.
    const isOffered = services.credentials.offer().some(({ account }) => account === credential.account)
    return isOffered ? refused(outcome) : { kind: 'elsewhere', folders, outcome }
  }
}

/** Waits for its turn; what it gives lets the next start through, and does so by itself after START_LIMIT_MS. */
async function enterGate(gate: StartGate): Promise<() => void> {
  await gate.enter()
  let isStarting = true
  const leave = (): void => {
    clearTimeout(limit)
    if (isStarting) gate.leave()
    isStarting = false
  }
  const limit = setTimeout(leave, START_LIMIT_MS)
  return leave
}
