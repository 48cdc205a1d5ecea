import { randomUUID } from 'node:crypto'
import type { InstalledClaude } from '../../claude/behaviour.js'
import { claudeCommand, type ClaudeCommand } from '../../claude/command/claude-command.js'
import { type RunRequest, runOf } from '../../claude/command/run-request.js'
import { operatorClaudeFolder } from '../../claude/install/credentials.js'
import { chooseDefaultModel } from '../../claude/install/default-model.js'
import { LoginError } from '../../claude/install/login-keeper.js'
import { spawnClaude } from '../../claude/stream/spawn-claude.js'
import { withAdmitted } from '../../platform/admitted-folders.js'
import { writeConfined } from '../../platform/confined-folder.js'
import type { SandboxLevel } from '../../protocol/sandbox.js'
import type { StartGate } from '../claim/start-gate.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { answerSchemaOf } from '../json-mode/answer-schema.js'
import { toCliSchema } from '../json-mode/cli-schema.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { withBudget } from '../records/plan-budget.js'
import { otherModel } from '../submit/join-session.js'
import { adoptSession } from '../workspaces/adopt-session.js'
import { prepareWorkspace, type RunFolders, type Workspace } from '../workspaces/prepare-workspace.js'
import { renewHome } from '../workspaces/renew-home.js'
import { workspaceOf } from '../workspaces/workspace-name.js'
import { writeInlineFiles } from '../workspaces/write-inline-files.js'
import { readApproved } from './earlier-approvals.js'
import { beginEvidence } from './collect-evidence.js'
import type { HeldClaim } from './held-claim.js'
import { keepDecided } from './keep-call.js'
import { openLoader, type LoadedAttachments } from './load-attachments.js'
import { planBeginning, type PossibleBeginning } from './plan-continuation.js'
import { openCheckout } from './open-checkout.js'
import type { PreparedRun, Unstarted } from './prepared-run.js'
import { readInstructions } from './project-instructions.js'
import { requireAble } from './require-able.js'
import type { RunRepository } from './run-repository.js'
import { listOwn, listProtected, openRunSandbox, type RunSandbox } from './run-sandbox.js'
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

/** A CLI that has said nothing for so long is not starting any more, whatever it does: the next may start. */
const START_LIMIT_MS = 5_000
/**
 * Of a lease: the last heartbeat is sent at half of it at the latest, so the kill is over before others may take the
 * execution.
 */
const HEARTBEAT_TIMEOUT_OF_LEASE = 0.4

/**
 * Everything between a claim and a CLI that can be let go, in the order in which it may be refused: the record, the
 * worker, the folders, where to begin, the operator's hooks, the login, the start itself.
 */
export async function prepareRun(claim: HeldClaim, record: ExecutionRecord): Promise<PreparedRun | Unstarted> {
  const { services, credential } = claim
  const { config, log } = services
  const able = await requireAble(services, credential, record)
  if (able.kind !== 'able') return able
  const opened = await openFolders(claim, record)
  if (opened.kind !== 'opened') return opened
  const { folders, workspace, repository } = opened
  const run = withBudget(withTimeout(runOf(record), record), record, config)
  const planned = await planBeginning(record, run, { log, home: folders.home, store: services.store })
  if (planned.kind === 'impossible') return refused(planned.outcome)
  const beginning = await keepDecided(planned, folders)
  // It was accepted when the service had another model.
  const simulated = config.simulatorUrl !== undefined
  if (beginning.from !== undefined && record.simulated !== simulated)
    return refused(failed('SESSION_NOT_FOUND', `The session cannot continue: ${otherModel(simulated)}`))
  const sessionId = beginning.sessionId ?? randomUUID()
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
  const command = await planCommand(claim, record, parts)
  const reach = await openReach(claim, record, { level: able.level, folders, planned: command })
  if ('kind' in reach) return reach
  const attachments = { sent: attached.sent, load }
  const prepared = { record, run, beginning, answerSchema, sessionId, folders, reach, attachments, repository }
  const mask = await maskOf(services, run)
  // Before there is a process: its warden is heard from only later.
  const evidence = await beginEvidence(record, folders, workspace, config)
  // Of a worker that dies nothing else is left.
  if (run.onWorkerLost === 'continue') await evidence.keep().catch(() => undefined)
  const leaveGate = await enterGate(services.startGate)
  try {
    const child = await spawnClaude(reach.command, {
      containment: services.containment,
      workspace: folders.workspace,
      folder: workspace,
      marker: claim.marker,
      hidden: listOwn(services),
      exposed: Object.values(folders),
      protected: [...listProtected(services), able.claude.binary],
      sandbox: reach.sandbox,
      heartbeatTimeoutMs: config.lockSeconds * 1_000 * HEARTBEAT_TIMEOUT_OF_LEASE,
    })
    return { kind: 'prepared', ...prepared, command: reach.command, mask, evidence, child, leaveGate }
  } catch (error) {
    leaveGate()
    evidence.close()
    return isScarce(error) ? { kind: 'scarce', folders, why: toErrorText(error) } : refused(toSpawnFailure(error))
  }
}

interface OpenedFolders {
  readonly kind: 'opened'
  readonly repository: RunRepository | undefined
  readonly folders: RunFolders
  readonly workspace: Workspace
}

async function openFolders(claim: HeldClaim, record: ExecutionRecord): Promise<OpenedFolders | Unstarted> {
  const { services } = claim
  const { config } = services
  try {
    const { folders, workspace } = await prepareWorkspace(
      { ...record, workspace: workspaceOf(record, record, config) },
      await withAdmitted(config, record.owner, record.workspace),
    )
    claim.lifetime.own('workspace', workspace, (opened) => opened.close())
    const taken = await takePlaces(claim, workspace)
    if (taken === 'parked') return { kind: 'parked' }
    if (taken === 'stopped') return { kind: 'stopped', folders }
    await renewHome(folders.home, { isFirstAttempt: record.attempt === 0 })
    for (const session of new Set([record.source?.sessionId, record.sessionId]))
      if (session !== undefined) await adoptSession(operatorClaudeFolder(config.environment), folders.home, session)
    const checkedOut = await openCheckout(claim, record, folders, workspace)
    if (checkedOut.kind !== 'checked_out') return checkedOut
    const { repository } = checkedOut
    // Once: a further attempt continues with what the one before has made of them.
    if (record.attempt === 0) await writeInlineFiles(workspace.address, record.request.files ?? [])
    return { kind: 'opened', folders, workspace, repository }
  } catch (error) {
    return refused(toFolderFailure(error))
  }
}

/** The folder itself is this execution's own, under every name that leads to it. */
async function takePlaces(
  { services, executionId, fence }: HeldClaim,
  { places }: Workspace,
): Promise<'taken' | 'parked' | 'stopped'> {
  // A fresh one has no other name.
  if (places.length === 0) return 'taken'
  const { kind, ready } = await services.store.takePlaces(executionId, fence, places)
  await enqueueReady(services, ...ready)
  return kind === 'taken' || kind === 'parked' ? kind : 'stopped'
}

/** What `timeoutSeconds: "auto"` stands for. */
const withTimeout = (run: RunRequest, { timeoutEstimate }: ExecutionRecord): RunRequest =>
  timeoutEstimate ? { ...run, timeoutSeconds: timeoutEstimate.timeoutSeconds } : run

interface CommandParts {
  readonly claude: InstalledClaude
  readonly run: RunRequest
  readonly beginning: PossibleBeginning
  readonly sessionId: string
  readonly folders: RunFolders
  readonly workspace: Workspace
  readonly blocks: LoadedAttachments['blocks']
}

async function planCommand(
  { services: { config, hooks, schemas, store }, credential: { credentials, environment }, span }: HeldClaim,
  { id, owner, approvalCount }: ExecutionRecord,
  { claude, run, beginning, sessionId, folders, workspace, blocks }: CommandParts,
): Promise<ClaudeCommand> {
  const instructions = await readInstructions({
    // Trusted, the CLI reads it itself.
    workspace: run.projectInstructions && !config.trustWorkspaces ? workspace.address : undefined,
    operatorDir: operatorClaudeFolder(config.environment),
  })
  return claudeCommand(beginning.run, {
    binary: claude.binary,
    instructions,
    defaultModel: await chooseDefaultModel(credentials, claude.behaviour.defaultModel),
    knowsPromptSnapshot: claude.behaviour.knowsPromptSnapshot,
    sessionId,
    resume: beginning.from,
    ...folders,
    tmpDir: folders.temporary,
    credentials,
    env: environment,
    childEnv: config.childEnv,
    defaultPermissionMode: config.permissionMode,
    defaultOnPermissionNeeded: config.onPermissionNeeded,
    approved: approvalCount > 0 ? await readApproved(store, id, beginning.decided) : undefined,
    extraAllowedTools: config.allowedTools,
    trustWorkspaces: config.trustWorkspaces,
    mcpTimeoutSeconds: config.mcpTimeoutSeconds,
    answer: await toCliSchema(run, id, owner, schemas),
    hooks: hooks.claude,
    attached: blocks,
    asRoot: process.getuid?.() === 0,
    simulatorUrl: config.simulatorUrl,
    trace: span?.carrier,
    hasTelemetry: config.cliTelemetry,
  })
}

/** Its sandbox, proxy and login, and the files that its command reads. */
async function openReach(
  { services, credential, lifetime }: HeldClaim,
  { request }: ExecutionRecord,
  { level, folders, planned }: { level: SandboxLevel; folders: RunFolders; planned: ClaudeCommand },
): Promise<RunSandbox | Unstarted> {
  try {
    const reach = await openRunSandbox(services, credential, request, level, folders, planned)
    // Until the claim is over, whatever happens from here on: it may have a proxy, and follows the login.
    lifetime.own('sandbox', reach, (opened) => opened.close())
    for (const { name, content } of reach.command.files)
      await writeConfined(folders.input, name, Buffer.from(content), { mode: 0o600, replaces: true })
    return reach
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
