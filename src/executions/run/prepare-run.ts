import { randomUUID } from 'node:crypto'
import { claudeCommand } from '../../claude/command/claude-command.js'
import { toRunRequest, type RunRequest } from '../../claude/command/run-request.js'
import { operatorClaudeFolder } from '../../claude/install/credentials.js'
import { chooseDefaultModel } from '../../claude/install/default-model.js'
import { LoginError } from '../../claude/install/login-keeper.js'
import { spawnClaude } from '../../claude/stream/spawn-claude.js'
import { withAdmitted } from '../../platform/admitted-folders.js'
import { writeConfined } from '../../platform/confined-folder.js'
import type { Lifetime } from '../../platform/lifetime.js'
import type { Outcome } from '../../protocol/execution.js'
import { answerSchemaOf } from '../json-mode/answer-schema.js'
import { toCliSchema } from '../json-mode/cli-schema.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { checkRecord } from './check-record.js'
import { beginEvidence } from './collect-evidence.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { otherModel } from '../submit/join-session.js'
import { withBudget } from '../records/plan-budget.js'
import { planBeginning } from './plan-continuation.js'
import { adoptSession } from '../workspaces/adopt-session.js'
import { renewHome } from '../workspaces/renew-home.js'
import { prepareWorkspace, type RunFolders, type Workspace } from '../workspaces/prepare-workspace.js'
import type { RunHooks } from '../hooks/run-hooks.js'
import { workspaceOf } from '../workspaces/workspace-name.js'
import { readInstructions } from './project-instructions.js'
import { listOwn, listProtected, openRunSandbox, type RunSandbox } from './run-sandbox.js'
import type { RunServices } from '../claim/run-services.js'
import { chooseLevel } from '../claim/sandbox-levels.js'
import { maskOf } from './run-secrets.js'
import { failed, isScarce, toErrorText, toFolderFailure, toSpawnFailure } from './start-failures.js'
import { writeInlineFiles } from '../workspaces/write-inline-files.js'
import type { PreparedRun } from './prepared-run.js'

/** A CLI that has said nothing for so long is not starting any more, whatever it does: the next may start. */
const START_LIMIT_MS = 5_000
/**
 * Of a lease: the last heartbeat is sent at half of it at the latest, so the kill is over before others may take the
 * execution.
 */
const HEARTBEAT_TIMEOUT_OF_LEASE = 0.4

/** Cancelled, or its worker stops or has lost it: whoever asked for it knows. */
export interface StoppedRun {
  readonly stoppedIn: RunFolders
}

/** The machine had no process, memory or descriptor left: it is no fault of the execution's. */
export interface ScarceStart {
  readonly scarceIn: RunFolders
  readonly why: string
}

/** Whoever renews the login could not be reached: nothing is known to be wrong with the execution or the login. */
export interface DelayedStart {
  readonly delayedIn: RunFolders
  readonly outcome: Outcome
}

/** Somebody has the folder, by another name: it waits for it, outside the queue. */
export interface ParkedRun {
  readonly parked: true
}

/** Under what it is prepared. */
export interface Claimed {
  readonly fence: string
  readonly marker: string
  readonly hooks: RunHooks
  /** Closed with the claim. */
  readonly lifetime: Lifetime
}

/** Everything that can go wrong before the CLI exists, each with its own code. */
export async function prepareRun(
  services: RunServices,
  record: ExecutionRecord,
  { fence, marker, hooks, lifetime }: Claimed,
): Promise<PreparedRun | StoppedRun | ParkedRun | ScarceStart | DelayedStart | { outcome: Outcome }> {
  const { config, claude, containment, startGate, log } = services
  const refusal = await checkRecord(services, record)
  if (refusal) return { outcome: refusal }
  const level = chooseLevel(record.request.sandbox, services.sandboxes)
  // The claim asks for one, and the worker's own settings do not change meanwhile.
  if (level === undefined)
    return { outcome: failed('WORKSPACE_ERROR', 'The worker does not provide the requested sandbox level.') }
  const { credentials } = services
  if (!claude)
    return {
      outcome: failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI was not found on the worker: install it (npm run setup, or npm install -g ' +
          '@anthropic-ai/claude-code) or set CC_EXECUTOR_CLAUDE_BIN.',
      ),
    }
  if (claude.unseen !== undefined && level !== 'host')
    return {
      outcome: failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI starts on the worker but not in the sandbox of its runs, which do not see all of its ' +
          'files. The operator can make them visible with CC_EXECUTOR_SANDBOX_READ=<their folder>; ' +
          '`cc-executor doctor` says what is missing.',
      ),
    }
  if (credentials.method === 'none')
    return { outcome: failed('CLAUDE_NOT_AUTHENTICATED', `${credentials.message} ${credentials.remedy ?? ''}`.trim()) }
  const operatorDir = operatorClaudeFolder(config.environment)
  let folders: RunFolders
  let workspace: Workspace
  try {
    ;({ folders, workspace } = await prepareWorkspace(
      { ...record, workspace: workspaceOf(record, record, config) },
      await withAdmitted(config, record.owner, record.workspace),
    ))
    lifetime.own('workspace', workspace, (opened) => opened.close())
    const taken = await takePlaces(services, record.id, fence, workspace)
    if (taken === 'parked') return { parked: true }
    if (taken === 'stopped') return { stoppedIn: folders }
    await renewHome(folders.home, { isFirstAttempt: record.attempt === 0 })
    for (const session of new Set([record.source?.sessionId, record.sessionId]))
      if (session !== undefined) await adoptSession(operatorDir, folders.home, session)
    // Once: a further attempt goes on with what the one before has made of them.
    if (record.attempt === 0) await writeInlineFiles(workspace.address, record.request.files ?? [])
  } catch (error) {
    const outcome = toFolderFailure(error)
    if (outcome) return { outcome }
    throw error
  }
  const run = withBudget(withTimeout(toRunRequest(record.request), record), record, config)
  const beginning = await planBeginning(record, run, { log, home: folders.home })
  if (beginning.kind === 'impossible') return { outcome: beginning.outcome }
  // It was accepted when the service had another model.
  const simulated = config.simulatorUrl !== undefined
  if (beginning.from !== undefined && record.simulated !== simulated)
    return { outcome: failed('SESSION_NOT_FOUND', `The session cannot continue: ${otherModel(simulated)}`) }
  const sessionId = beginning.sessionId ?? randomUUID()
  const answerSchema = answerSchemaOf(run, record.id)
  // First, so that what they do in the workspace does not count as the run's.
  const go = await hooks.beforeStart(record, workspace)
  if (go.kind === 'stopped') return { stoppedIn: folders }
  if (go.kind === 'refused') return { outcome: go.outcome }
  const instructions = await readInstructions({
    // Trusted, the CLI reads it itself.
    workspace: run.projectInstructions && !config.trustWorkspaces ? workspace.address : undefined,
    operatorDir,
  })
  const planned = claudeCommand(beginning.run, {
    binary: claude.binary,
    instructions,
    defaultModel: await chooseDefaultModel(credentials, claude.behaviour.defaultModel),
    knowsPromptSnapshot: claude.behaviour.knowsPromptSnapshot,
    sessionId,
    ...(beginning.from !== undefined && { resume: beginning.from }),
    ...folders,
    tmpDir: folders.temporary,
    credentials,
    env: config.environment,
    childEnv: config.childEnv,
    defaultPermissionMode: config.permissionMode,
    extraAllowedTools: config.allowedTools,
    trustWorkspaces: config.trustWorkspaces,
    mcpTimeoutSeconds: config.mcpTimeoutSeconds,
    answer: await toCliSchema(run, record.id, record.owner, services.schemas),
    hooks: services.hooks.claude,
    asRoot: globalThis.process.getuid?.() === 0,
    ...(config.simulatorUrl !== undefined && { simulatorUrl: config.simulatorUrl }),
  })
  let reach: RunSandbox
  try {
    reach = await openRunSandbox(services, record.request, level, folders, planned)
    // Until the claim is over, whatever happens from here on: it may have a proxy, and follows the login.
    lifetime.own('sandbox', reach, (opened) => opened.close())
    for (const { name, content } of reach.command.files)
      await writeConfined(folders.input, name, Buffer.from(content), { mode: 0o600, replaces: true })
  } catch (error) {
    if (error instanceof LoginError && error.isTransient)
      return { delayedIn: folders, outcome: failed('CLAUDE_OVERLOADED', error.message) }
    const outcome =
      error instanceof LoginError ? failed('CLAUDE_NOT_AUTHENTICATED', error.message) : toFolderFailure(error)
    if (outcome) return { outcome }
    throw error
  }
  const { command } = reach
  const mask = await maskOf(services, run)
  // Before there is a process: its warden is heard from only later.
  const evidence = await beginEvidence(folders, workspace, config)
  await startGate.enter()
  let isStarting = true
  const leaveGate = (): void => {
    clearTimeout(limit)
    if (isStarting) startGate.leave()
    isStarting = false
  }
  const limit = setTimeout(leaveGate, START_LIMIT_MS)
  try {
    const child = await spawnClaude(command, {
      containment,
      workspace: folders.workspace,
      folder: workspace,
      marker,
      hidden: listOwn(services),
      exposed: Object.values(folders),
      protected: [...listProtected(services), claude.binary],
      ...(reach.sandbox && { sandbox: reach.sandbox }),
      heartbeatTimeoutMs: config.lockSeconds * 1_000 * HEARTBEAT_TIMEOUT_OF_LEASE,
    })
    return {
      record,
      run,
      beginning,
      answerSchema,
      sessionId,
      command,
      mask,
      reach,
      folders,
      child,
      evidence,
      leaveGate,
    }
  } catch (error) {
    leaveGate()
    evidence.close()
    return isScarce(error) ? { scarceIn: folders, why: toErrorText(error) } : { outcome: toSpawnFailure(error) }
  }
}

/** The folder itself is this execution's own, under every name that leads to it. */
async function takePlaces(
  services: RunServices,
  id: string,
  fence: string,
  { places }: Workspace,
): Promise<'taken' | 'parked' | 'stopped'> {
  // A fresh one has no other name.
  if (places.length === 0) return 'taken'
  const { kind, ready } = await services.store.takePlaces(id, fence, places)
  await enqueueReady(services, ...ready)
  return kind === 'taken' || kind === 'parked' ? kind : 'stopped'
}

/** What `timeoutSeconds: "auto"` stands for. */
const withTimeout = (run: RunRequest, { timeoutEstimate }: ExecutionRecord): RunRequest =>
  timeoutEstimate ? { ...run, timeoutSeconds: timeoutEstimate.timeoutSeconds } : run
