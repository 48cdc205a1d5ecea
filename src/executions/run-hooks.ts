import { toRunRequest } from '../claude/run-request.js'
import type { Hook } from '../hooks/hooks-file.js'
import { runHook, type HookReport } from '../hooks/run-hook.js'
import { joinSignals } from '../platform/deadline.js'
import type { NewEvent } from '../protocol/events.js'
import type { Outcome, Usage } from '../protocol/execution.js'
import type { HookStage } from '../protocol/hooks.js'
import type { ExecutionRecord } from './execution-record.js'
import type { LeaseKeeper } from './lease-keeper.js'
import type { RunJournal } from './run-journal.js'
import type { RunServices } from './run-services.js'
import type { Wishes } from './store-answers.js'

/** An exit code before an execution that says: it is not to start. */
const VETO = 2
/** A longer answer is left out of what a hook reads; it is on REST. */
const RESULT_LIMIT_CHARACTERS = 1024 * 1024

/** What was meant for a workspace must not be done elsewhere: where there is none, its hook cannot be started. */
const NO_FOLDER = '/dev/null'

export interface RunHooksOptions {
  readonly services: RunServices
  readonly executionId: string
  /** The attempt that is about to begin. */
  readonly attempt: number
  readonly marker: string
  readonly lease: LeaseKeeper
  /** Aborted when the worker must let go. */
  readonly signal: AbortSignal
  /** Of what comes before the start. */
  readonly journal: RunJournal
}

export type Verdict = { readonly kind: 'go' } | { readonly kind: 'stopped' } | { readonly kind: 'refused'; readonly outcome: Outcome }

interface Ended {
  readonly outcome: Outcome
  readonly usage?: Usage
  readonly sessionId?: string
  /** undefined: there is none. */
  readonly workspace: string | undefined
}

type Facts = Omit<Ended, 'outcome'> & { readonly record: ExecutionRecord; readonly outcome?: Outcome }

/**
 * The operator's hooks around one claimed execution, one after the other; each is an event, and none can make it fail but before its start.
 *
 * before each start: pre-execute, in the state `starting` → go | refused (veto, or a required one failed) | stopped (cancel, worker's stop, lost claim)
 * before the end: post-execute where the CLI was let go, then on-failure where it failed or timed out
 */
export class RunHooks {
  readonly #options: RunHooksOptions
  #stop = new AbortController()
  #isCancelled = false
  #isLost = false
  #workspace: string | undefined

  constructor(options: RunHooksOptions) {
    this.#options = options
  }

  /** A cancel ends what runs; those which follow the end that it makes run all the same. */
  obey({ cancel }: Wishes): void {
    if (!cancel || this.#isCancelled) return
    this.#isCancelled = true
    this.#stop.abort()
  }

  /** The claim is lost: nothing is run any more. */
  stop(): void {
    this.#isLost = true
    this.#stop.abort()
  }

  async beforeStart(record: ExecutionRecord, workspace: string): Promise<Verdict> {
    this.#workspace = workspace
    const { services, journal } = this.#options
    let verdict: Verdict = { kind: 'go' }
    for (const hook of services.hooks.stages['pre-execute']) {
      const report = await this.#run('pre-execute', hook, { record, workspace }, journal)
      if (this.#isStopped()) break
      verdict = judge(report, hook.required)
      if (verdict.kind === 'refused') break
    }
    // The next event is the start's, which is written past this journal.
    await journal.close()
    return this.#isStopped() ? { kind: 'stopped' } : verdict
  }

  /** What is to be told of an execution whose CLI is never let go. */
  async noteBeforeStart(event: NewEvent): Promise<void> {
    const { journal } = this.#options
    await journal.write([event])
    await journal.close()
  }

  /** It ends without the CLI having been let go. */
  async afterFailedStart(record: ExecutionRecord, outcome: Outcome): Promise<void> {
    const { journal } = this.#options
    await this.#runAll('on-failure', record, { outcome, workspace: this.#workspace }, journal)
    await journal.close()
  }

  /** It ends; what they do changes nothing about how. */
  async afterRun(record: ExecutionRecord, ended: Ended, journal: RunJournal): Promise<void> {
    await this.#runAll('post-execute', record, ended, journal)
    if (ended.outcome.status === 'failed' || ended.outcome.status === 'timed_out') await this.#runAll('on-failure', record, ended, journal)
  }

  async #runAll(stage: HookStage, record: ExecutionRecord, ended: Ended, journal: RunJournal): Promise<void> {
    if (this.#isCancelled && !this.#isLost) this.#stop = new AbortController()
    for (const hook of this.#options.services.hooks.stages[stage]) {
      if (this.#isLost || this.#options.signal.aborted) return
      await this.#run(stage, hook, { record, ...ended }, journal)
    }
  }

  #isStopped(): boolean {
    return this.#isCancelled || this.#isLost || this.#options.signal.aborted
  }

  async #run(stage: HookStage, hook: Hook, facts: Facts, journal: RunJournal): Promise<HookReport> {
    const { services, executionId, attempt, marker, lease, signal } = this.#options
    const { hooks, hookLedger, config, containment, logger } = services
    const { workspace } = facts
    const stopped = joinSignals([signal, this.#stop.signal])
    const report = await runHook({
      hook, stage, containment, marker,
      context: toContext(stage, hook.name, attempt, facts),
      variables: { HOOK_STAGE: stage, HOOK_EXECUTION_ID: executionId, ...(workspace !== undefined && { HOOK_WORKSPACE: workspace }) },
      cwd: hook.cwd === 'folder' ? hooks.folder : (workspace ?? NO_FOLDER),
      environment: config.environment,
      heartbeatTimeoutMs: (config.lockSeconds * 1_000) / 2,
      onProcess: (process) => lease.attach(() => process.heartbeat()),
      signal: stopped.signal,
    }).finally(stopped.release)
    const { name, ending, exitCode, durationMs } = report.finished
    hookLedger.enter(report.finished, isVeto(report))
    logger[exitCode === 0 ? 'debug' : 'warn']({ executionId, stage, name, ending, exitCode, durationMs }, 'hook finished')
    await journal.write([{ type: 'hook.finished', data: report.finished }])
    return report
  }
}

const isVeto = ({ finished: { stage, exitCode } }: HookReport): boolean => stage === 'pre-execute' && exitCode === VETO

function judge(report: HookReport, required: boolean): Verdict {
  const { name, exitCode, ending } = report.finished
  const said = report.reason === '' ? '' : `: ${report.reason}`
  if (isVeto(report)) return { kind: 'refused', outcome: { status: 'failed', code: 'HOOK_VETOED', message: `The operator's hook ${name} refused it${said === '' ? '.' : said}` } }
  if (exitCode === 0 || !required) return { kind: 'go' }
  const how = ending === 'exited' ? `exited with ${exitCode}` : ENDINGS[ending]
  return { kind: 'refused', outcome: { status: 'failed', code: 'HOOK_FAILED', message: `The operator's hook ${name}, without which nothing is started, ${how}${said === '' ? '.' : said}` } }
}

const ENDINGS = {
  signalled: 'was ended by a signal', timed_out: 'was ended at its timeout', output_limit: 'was ended because it wrote too much', stopped: 'was stopped',
  not_found: 'was not found', not_started: 'could not be started',
} as const

/** As fields, whatever form it was submitted in. Of MCP servers only the names: the rest may hold secrets of the caller's. */
function toRequest(record: ExecutionRecord): object {
  const { mcpServers, outputFormat: _format, rawPartials: _partials, ...request } = toRunRequest(record.request)
  return { ...request, timeoutSeconds: record.timeoutEstimate?.timeoutSeconds ?? request.timeoutSeconds, ...(mcpServers && { mcpServers: Object.keys(mcpServers) }) }
}

function toContext(stage: HookStage, name: string, attempt: number, { record, outcome, usage, sessionId, workspace }: Facts): object {
  return {
    stage,
    hook: name,
    executionId: record.id,
    attempt,
    caller: record.owner,
    metadata: record.metadata,
    createdAt: new Date(record.createdAt).toISOString(),
    workspace: workspace ?? null,
    request: toRequest(record),
    ...(sessionId !== undefined && { sessionId }),
    ...(outcome && { outcome: shortenResult(outcome) }),
    ...(usage && { usage }),
  }
}

function shortenResult({ result, ...outcome }: Outcome): object {
  const length = typeof result === 'object' ? JSON.stringify(result).length : (result?.length ?? 0)
  if (result === undefined) return outcome
  return length > RESULT_LIMIT_CHARACTERS ? { ...outcome, isResultLeftOut: true } : { ...outcome, result }
}
