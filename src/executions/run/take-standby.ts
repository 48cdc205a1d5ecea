import type { ClaudeCommand } from '../../claude/command/claude-command.js'
import type { RunSandbox } from '../claim/run-reach.js'
import type { WaitingCli } from '../claim/standby.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { HeldClaim } from './held-claim.js'
import type { PreparedRun } from './prepared-run.js'
import type { Able } from './require-able.js'

/**
 * Whether a run may begin in a CLI that stands by, as far as its command does not tell: it begins for the first time,
 * by itself, in an empty folder of its own, with no other network than the operator's.
 */
export const mayBeHandedOver = ({
  kind,
  attempt,
  home,
  id,
  workspace,
  source,
  request: { files, network, repository, worktree },
}: Pick<ExecutionRecord, 'kind' | 'attempt' | 'home' | 'id' | 'workspace' | 'source' | 'request'>): boolean =>
  kind === 'run' &&
  attempt === 0 &&
  home === id &&
  workspace === id &&
  source === undefined &&
  [files, network, repository, worktree].every((asked) => asked === undefined)

/** A CLI on standby that may be what the run wants: its command will tell. */
export const takeStandby = (
  { services: { standby }, credential }: HeldClaim,
  record: ExecutionRecord,
  { level, claude }: Able,
): WaitingCli | undefined => (mayBeHandedOver(record) ? standby.take({ level, claude, credential }) : undefined)

/** All that is fixed when a CLI is started; what its first line says it is told then. */
const toFixed = ({ file, args, env, files, setUpLine }: ClaudeCommand): string =>
  JSON.stringify([file, args, env, files, setUpLine])

/** Whether it was started just as the run wants its CLI to be. */
export const isSame = (one: ClaudeCommand, other: ClaudeCommand): boolean => toFixed(one) === toFixed(other)

/** What it stands in is the run's from now on, with the run's own first line. */
export const handReach = ({ reach }: WaitingCli, { firstLine }: ClaudeCommand): RunSandbox => ({
  ...reach,
  command: { ...reach.command, firstLine },
})

/** The last step: its folders are the execution's. undefined: it has ended meanwhile, and the run starts anew. */
export async function handOver(
  { lifetime }: HeldClaim,
  record: ExecutionRecord,
  waiting: WaitingCli,
): Promise<Pick<PreparedRun, 'record' | 'child' | 'leaveGate'> | undefined> {
  await waiting.assign(record.id)
  if (!waiting.isWaiting()) return undefined
  lifetime.own('CLI that stood by', waiting, (handed) => handed.close())
  return {
    record: { ...record, home: waiting.id, workspace: waiting.id },
    child: waiting.child,
    leaveGate: () => undefined,
  }
}
