import { randomUUID } from 'node:crypto'
import { claudeCommand } from '../../claude/command/claude-command.js'
import { toRunRequest, type RunRequest } from '../../claude/command/run-request.js'
import { operatorClaudeFolder } from '../../claude/install/credentials.js'
import { chooseDefaultModel } from '../../claude/install/default-model.js'
import { LoginError } from '../../claude/install/login-keeper.js'
import { spawnClaude } from '../../claude/stream/spawn-claude.js'
import { ExecutorError } from '../../protocol/errors.js'
import type { Outcome, OutcomeCode } from '../../protocol/execution.js'
import { answerSchemaOf, toCliSchema } from '../json-mode/answer-schema.js'
import { beginEvidence } from './collect-evidence.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { otherModel } from '../submit/join-session.js'
import { withBudget } from '../records/plan-budget.js'
import { planBeginning } from './plan-continuation.js'
import { adoptSession } from '../workspaces/adopt-session.js'
import { CLAUDE_FOLDER, renewHome } from '../workspaces/renew-home.js'
import { prepareWorkspace, WorkspaceError, type RunFolders } from '../workspaces/prepare-workspace.js'
import type { RunHooks } from '../hooks/run-hooks.js'
import { readInstructions } from './project-instructions.js'
import { openRunSandbox, type RunSandbox } from './run-sandbox.js'
import type { RunServices } from '../claim/run-services.js'
import { chooseLevel } from '../claim/sandbox-levels.js'
import { writeInlineFiles } from '../workspaces/write-inline-files.js'
import type { PreparedRun } from './prepared-run.js'

/** A CLI that has said nothing for so long is not starting any more, whatever it does: the next may start. */
const START_LIMIT_MS = 5_000
/**
 * Of a lease: the last heartbeat is sent at half of it at the latest, so the kill is over before others may take the
 * execution.
 */
const HEARTBEAT_TIMEOUT_OF_LEASE = 0.4

const INSTRUCTIONS_FILE = `${CLAUDE_FOLDER}/append-system-prompt.md`

/** Cancelled, or its worker stops or has lost it: whoever asked for it knows. */
export interface StoppedRun {
  readonly stoppedIn: RunFolders
}

export const failed = (code: OutcomeCode, message: string): Outcome => ({ status: 'failed', code, message })

/** Everything that can go wrong before the CLI exists, each with its own code. */
export async function prepareRun(
  services: RunServices,
  record: ExecutionRecord,
  marker: string,
  hooks: RunHooks,
): Promise<PreparedRun | StoppedRun | { outcome: Outcome }> {
  const { config, claude, containment, startGate, log } = services
  const level = chooseLevel(record.request.sandbox, services.sandboxes)
  // The claim asks for one, and the worker's own settings do not change meanwhile.
  if (level === undefined)
    return { outcome: failed('WORKSPACE_ERROR', 'The worker has no sandbox of the level that was asked for.') }
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
        'The Claude CLI starts on the worker but not in the sandbox of its runs, which do not see all of its files. The ' +
          'operator shows them with CC_EXECUTOR_SANDBOX_READ=<their folder>; `cc-executor doctor` says what is missing.',
      ),
    }
  if (credentials.method === 'none')
    return { outcome: failed('CLAUDE_NOT_AUTHENTICATED', `${credentials.message} ${credentials.remedy ?? ''}`.trim()) }
  const operatorDir = operatorClaudeFolder(config.environment)
  let folders: RunFolders
  try {
    folders = await prepareWorkspace(record, config)
    await renewHome(folders.home, { isFirstAttempt: record.attempt === 0 })
    for (const session of new Set([record.source?.sessionId, record.sessionId]))
      if (session !== undefined) await adoptSession(operatorDir, folders.home, session)
    // Once: a further attempt goes on with what the one before has made of them.
    if (record.attempt === 0) await writeInlineFiles(folders.workspace, record.request.files ?? [])
  } catch (error) {
    const outcome = toFolderFailure(error)
    if (outcome) return { outcome }
    throw error
  }
  const run = withBudget(withTimeout(toRunRequest(record.request), record), record)
  const beginning = await planBeginning(record, run, { log, home: folders.home })
  if (beginning.kind === 'impossible') return { outcome: beginning.outcome }
  // It was accepted when the service had another model.
  const simulated = config.simulatorUrl !== undefined
  if (beginning.from !== undefined && record.simulated !== simulated)
    return { outcome: failed('SESSION_NOT_FOUND', `The session cannot go on: ${otherModel(simulated)}`) }
  const sessionId = beginning.sessionId ?? randomUUID()
  const answerSchema = answerSchemaOf(run, record.id)
  // First, so that what they do in the workspace does not count as the run's.
  const go = await hooks.beforeStart(record, folders.workspace)
  if (go.kind === 'stopped') return { stoppedIn: folders }
  if (go.kind === 'refused') return { outcome: go.outcome }
  const instructions = await readInstructions({
    // Trusted, the CLI reads it itself.
    workspace: run.projectInstructions && !config.trustWorkspaces ? folders.workspace : undefined,
    operatorDir,
  })
  const planned = claudeCommand(beginning.run, {
    binary: claude.binary,
    ...(instructions !== undefined && { instructions: { text: instructions, file: INSTRUCTIONS_FILE } }),
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
    answer: answerSchema && toCliSchema(answerSchema),
    hooks: services.hooks.claude,
    asRoot: globalThis.process.getuid?.() === 0,
    ...(config.simulatorUrl !== undefined && { simulatorUrl: config.simulatorUrl }),
  })
  let reach: RunSandbox
  try {
    reach = await openRunSandbox(services, record.request, level, folders, planned)
  } catch (error) {
    const outcome =
      error instanceof LoginError ? failed('CLAUDE_NOT_AUTHENTICATED', error.message) : toFolderFailure(error)
    if (outcome) return { outcome }
    throw error
  }
  const { command } = reach
  // Before there is a process: its warden is heard from only later.
  const evidence = await beginEvidence(folders, config)
  await startGate.enter()
  let isStarting = true
  const leaveGate = (): void => {
    clearTimeout(limit)
    if (isStarting) startGate.leave()
    isStarting = false
  }
  const limit = setTimeout(leaveGate, START_LIMIT_MS)
  try {
    const process = await spawnClaude(command, {
      containment,
      workspace: folders.workspace,
      marker,
      hidden: [config.dataDir],
      exposed: Object.values(folders),
      ...(reach.sandbox && { sandbox: reach.sandbox }),
      heartbeatTimeoutMs: config.lockSeconds * 1_000 * HEARTBEAT_TIMEOUT_OF_LEASE,
    })
    return { record, run, beginning, answerSchema, sessionId, command, reach, folders, process, evidence, leaveGate }
  } catch (error) {
    leaveGate()
    evidence.close()
    await reach.close()
    return { outcome: toSpawnFailure(error) }
  }
}

/** What `timeoutSeconds: "auto"` stands for. */
const withTimeout = (run: RunRequest, { timeoutEstimate }: ExecutionRecord): RunRequest =>
  timeoutEstimate ? { ...run, timeoutSeconds: timeoutEstimate.timeoutSeconds } : run

/** A disk that takes nothing is no fault of the service's. */
const DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM'])

function toFolderFailure(error: unknown): Outcome | undefined {
  if (error instanceof WorkspaceError) return failed('WORKSPACE_ERROR', error.message)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return DISK.has(code)
    ? failed('WORKSPACE_ERROR', `The folders of the run could not be prepared (${code}); check the disk of the worker.`)
    : undefined
}

function toSpawnFailure(error: unknown): Outcome {
  if (error instanceof ExecutorError) throw error
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ENOENT_FILE':
      return failed(
        'CLAUDE_NOT_FOUND',
        'The Claude CLI is no longer where the worker found it; install it again or set CC_EXECUTOR_CLAUDE_BIN.',
      )
    case 'BAD_CWD':
      return failed('WORKSPACE_ERROR', 'The workspace cannot be entered; check its permissions.')
    default:
      return failed(
        'CLAUDE_EXITED',
        `The CLI could not be started: ${error instanceof Error ? error.message : String(error)}`,
      )
  }
}
