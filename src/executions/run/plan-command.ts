import type { InstalledClaude } from '../../claude/behaviour.js'
import { claudeCommand, type ClaudeCommand } from '../../claude/command/claude-command.js'
import type { RunRequest } from '../../claude/command/run-request.js'
import { operatorClaudeFolder } from '../../claude/install/credentials.js'
import { chooseDefaultModel } from '../../claude/install/default-model.js'
import type { ProjectInstructions } from '../../protocol/project-instructions.js'
import { toCliSchema } from '../json-mode/cli-schema.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { RunFolders, Workspace } from '../workspaces/prepare-workspace.js'
import { readApproved } from './earlier-approvals.js'
import type { HeldClaim } from './held-claim.js'
import type { LoadedAttachments } from './load-attachments.js'
import type { PossibleBeginning } from './plan-continuation.js'
import { readInstructions } from './project-instructions.js'

export interface CommandParts {
  readonly claude: InstalledClaude
  readonly run: RunRequest
  readonly beginning: PossibleBeginning
  readonly sessionId: string
  readonly folders: RunFolders
  readonly workspace: Workspace
  readonly blocks: LoadedAttachments['blocks']
}

export interface PlannedCommand {
  readonly command: ClaudeCommand
  /** What of the project's own words and settings counts, where it has any. */
  readonly projectInstructions: ProjectInstructions | undefined
}

export async function planCommand(
  {
    services: { config, hooks, schemas, store },
    credential: { credentials, environment },
    span,
  }: Pick<HeldClaim, 'services' | 'credential' | 'span'>,
  { id, owner, approvalCount }: Pick<ExecutionRecord, 'id' | 'owner' | 'approvalCount'>,
  { claude, run, beginning, sessionId, folders, workspace, blocks }: CommandParts,
): Promise<PlannedCommand> {
  const { text: instructions, project } = await readInstructions({
    // Trusted, the CLI reads it itself.
    workspace: config.trustWorkspaces ? undefined : workspace.address,
    isWanted: run.projectInstructions,
    operatorDir: operatorClaudeFolder(config.environment),
  })
  const command = claudeCommand(beginning.run, {
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
    awaited: beginning.decided?.asked,
    attached: blocks,
    asRoot: process.getuid?.() === 0,
    simulatorUrl: config.simulatorUrl,
    trace: span?.carrier,
    hasTelemetry: config.cliTelemetry,
  })
  return { command, projectInstructions: project }
}
