import type { Hook } from '../../hooks/hooks-file.js'
import { runHook, type HookReport } from '../../hooks/run-hook.js'
import type { Outcome } from '../../protocol/execution.js'
import type { HookStage } from '../../protocol/hooks.js'
import { toHookContext, type HookFacts } from './hook-context.js'
import type { LeaseKeeper } from '../claim/lease-keeper.js'
import type { RunServices } from '../claim/run-services.js'
import { definedFields } from '../../protocol/defined-fields.js'

/** An exit code before an execution or a list that says: it is not to start. */
const VETO = 2
/** What was meant for a workspace must not be done elsewhere: where there is none, its hook cannot be started. */
const NO_FOLDER = '/dev/null'

/** The claim under which hooks run: its lease keeps them alive, and its marker finds what they started. */
export interface Claim {
  readonly services: RunServices
  readonly marker: string
  readonly lease: LeaseKeeper
}

/** What the hooks before a start say. */
export type Verdict =
  { readonly kind: 'go' } | { readonly kind: 'stopped' } | { readonly kind: 'refused'; readonly outcome: Outcome }

/** Runs one hook of the operator's to its end; telling of it is the caller's. */
export async function runClaimedHook(
  { services, marker, lease }: Claim,
  stage: HookStage,
  hook: Hook,
  facts: HookFacts,
  signal: AbortSignal,
): Promise<HookReport> {
  const { hooks, hookLedger, config, containment, logger } = services
  const { workspace, record } = facts
  const ran = await runHook({
    hook,
    stage,
    containment,
    marker,
    signal,
    context: toHookContext(stage, hook.name, facts),
    variables: definedFields({
      HOOK_STAGE: stage,
      HOOK_EXECUTION_ID: record.id,
      HOOK_WORKSPACE: workspace,
    }),
    cwd: hook.cwd === 'folder' ? hooks.folder : (workspace ?? NO_FOLDER),
    folder: hook.cwd === 'folder' ? undefined : facts.folder,
    environment: config.environment,
    heartbeatTimeoutMs: (config.lockSeconds * 1_000) / 2,
    onProcess: (child) => lease.attach(() => child.heartbeat()),
  })
  const report = services.mask.value(ran)
  const { name, ending, exitCode, durationMs } = report.finished
  hookLedger.noteRun(report.finished, isVeto(report))
  logger[exitCode === 0 ? 'debug' : 'warn'](
    { executionId: record.id, stage, name, ending, exitCode, durationMs },
    'hook finished',
  )
  return report
}

const isVeto = ({ finished: { stage, exitCode } }: HookReport): boolean =>
  (stage === 'pre-execute' || stage === 'pre-task-list') && exitCode === VETO

/** What a hook before a start has decided. */
export function judgeHook(report: HookReport, required: boolean): Verdict {
  const { name, exitCode, ending } = report.finished
  const said = report.reason === '' ? '' : `: ${report.reason}`
  if (isVeto(report))
    return {
      kind: 'refused',
      outcome: {
        status: 'failed',
        code: 'HOOK_VETOED',
        message: `The operator's hook ${name} refused it${said === '' ? '.' : said}`,
      },
    }
  if (exitCode === 0 || !required) return { kind: 'go' }
  const how = ending === 'exited' ? `exited with ${exitCode}` : ENDINGS[ending]
  return {
    kind: 'refused',
    outcome: {
      status: 'failed',
      code: 'HOOK_FAILED',
      message: `The required hook ${name} of the operator ${how}${said === '' ? '.' : said}`,
    },
  }
}

const ENDINGS = {
  signalled: 'was terminated by a signal',
  timed_out: 'was stopped at its timeout',
  output_limit: 'was stopped because it wrote too much',
  stopped: 'was stopped',
  not_found: 'was not found',
  not_started: 'could not be started',
} as const
