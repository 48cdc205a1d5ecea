import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import { runOf } from '../../claude/command/run-request.js'
import { ExecuteRequest } from '../../protocol/execute-request.js'
import { NO_USAGE } from '../../protocol/execution.js'
import type { RunServices } from '../claim/run-services.js'
import { chooseLevel } from '../claim/sandbox-levels.js'
import type { StandbyTerms, WaitingCli } from '../claim/standby.js'
import { withBudget } from '../records/plan-budget.js'
import { planCommand } from '../run/plan-command.js'

/** A request that asks for nothing; its prompt is never sent. */
export const NOTHING_ASKED = ExecuteRequest.parse({ prompt: '-' })

/**
 * Why no CLI may stand by on this worker, whatever its settings: what would happen at its start belongs to a run, or
 * each run has another start.
 */
export function whyNone({ config, hooks }: Pick<RunServices, 'config' | 'hooks'>): string | undefined {
  if (hooks.stages['pre-execute'].length > 0) return 'a hook (pre-execute) runs before each start of the CLI'
  if (['SessionStart', 'Setup'].some((event) => hooks.claude[event] !== undefined))
    return 'a hook of the CLI runs when it starts (SessionStart, Setup)'
  if (config.sharedCaches.length > 0) return 'runs share caches (CC_EXECUTOR_SHARED_CACHES)'
  return undefined
}

/** With what the next run begins that asks for nothing; undefined: none can at present. */
export function chooseTerms({ claude, credentials }: RunServices): StandbyTerms | undefined {
  const [credential] = credentials.offer().toSorted((one, other) => other.weight - one.weight)
  if (!claude || !credential || credential.credentials.method === 'none') return undefined
  const level = chooseLevel(undefined, credential.sandboxes)
  if (level === undefined || (claude.unseen !== undefined && level !== 'host')) return undefined
  return { claude, credential, level }
}

/** The command of a run that asks for nothing, in these folders. */
export async function planStandby(
  services: RunServices,
  { claude, credential }: StandbyTerms,
  { id, sessionId, folders, workspace }: Pick<WaitingCli, 'id' | 'sessionId' | 'folders' | 'workspace'>,
): Promise<ClaudeCommand> {
  const run = withBudget(runOf({ request: NOTHING_ASKED }), { usage: NO_USAGE }, services.config)
  const { command } = await planCommand(
    { services, credential, span: undefined },
    { id, owner: '', approvalCount: 0 },
    {
      claude,
      run,
      beginning: { kind: 'fresh', run, firstMessage: 0, firstEvents: [] },
      sessionId,
      folders,
      workspace,
      blocks: [],
    },
  )
  return command
}
