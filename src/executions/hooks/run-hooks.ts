import type { Hook } from '../../hooks/hooks-file.js'
import type { HookReport } from '../../hooks/run-hook.js'
import { joinSignals } from '../../platform/abort-signals.js'
import type { OpenFolder } from '../../platform/open-folder.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome, Usage } from '../../protocol/execution.js'
import type { HookStage } from '../../protocol/hooks.js'
import type { HeldList } from '../conclude/advance-task-list.js'
import { judgeHook, runClaimedHook, type Claim, type Verdict } from './claimed-hook.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { HookFacts } from './hook-context.js'
import { closeList, toListHold } from './list-closing.js'
import type { RunJournal } from '../claim/run-journal.js'
import type { PendingRequests } from '../store/transitions.js'

export interface RunHooksOptions extends Claim {
  readonly fence: string
  /** The attempt that is about to begin. */
  readonly attempt: number
  /** Aborted when the worker must let go. */
  readonly signal: AbortSignal
  /** Of what comes before the start. */
  readonly journal: RunJournal
}

interface Ended {
  readonly outcome: Outcome
  readonly usage?: Usage
  readonly sessionId?: string
  /** undefined: there is none. */
  readonly workspace: string | undefined
}

/**
 * The operator's hooks around one claimed execution, one after the other; each is an event, and none can make it fail
 * but before its start.
 *
 * before the first start in a task list: pre-task-list, told in the list's log → as pre-execute, for the whole list
 * before each start: pre-execute, in the state `starting` → go | refused (veto, or a required one failed) | stopped
 * (cancel, worker's stop, lost claim)
 * before the end: post-execute where the CLI was let go, then on-failure where it failed or timed out
 */
export class RunHooks {
  readonly #options: RunHooksOptions
  #stop = new AbortController()
  #isCancelled = false
  #isLost = false
  #folder: OpenFolder | undefined

  constructor(options: RunHooksOptions) {
    this.#options = options
  }

  /** A cancel ends what runs; those which follow the end that it makes run all the same. */
  apply({ cancel }: PendingRequests): void {
    if (!cancel || this.#isCancelled) return
    this.#isCancelled = true
    this.#stop.abort()
  }

  /** The claim is lost: nothing is run any more. */
  stop(): void {
    this.#isLost = true
    this.#stop.abort()
  }

  async beforeStart(record: ExecutionRecord, folder: OpenFolder): Promise<Verdict> {
    this.#folder = folder
    const workspace = folder.path
    const { services, journal } = this.#options
    let verdict = await this.#beforeList(record, workspace)
    for (const hook of verdict.kind === 'go' ? services.hooks.stages['pre-execute'] : []) {
      const report = await this.#runNoted('pre-execute', hook, { record, workspace }, journal)
      if (this.#isStopped()) break
      verdict = judgeHook(report, hook.required)
      if (verdict.kind === 'refused') break
    }
    // The next event is the start's, which is written past this journal.
    await journal.close()
    return this.#isStopped() ? { kind: 'stopped' } : verdict
  }

  /**
   * Until a task of a list has started, whichever it is: one that ended before that must not take the hooks with it.
   * What a claim before
   * this one has told of is not run again; one that was stopped has decided nothing.
   */
  async #beforeList({ id, parentId, attempt }: ExecutionRecord, workspace: string): Promise<Verdict> {
    const { services, fence } = this.#options
    const list = parentId === undefined || attempt > 0 ? undefined : await services.store.getTaskList(parentId)
    if (list?.state !== 'queued') return { kind: 'go' }
    if (list.refusal) return { kind: 'refused', outcome: list.refusal }
    for (const [index, hook] of services.hooks.stages['pre-task-list'].entries()) {
      if (index < (list.hooksRun ?? 0)) continue
      const report = await this.#run('pre-task-list', hook, { record: list, attempt: 0, workspace })
      const verdict: Verdict = this.#isStopped() ? { kind: 'stopped' } : judgeHook(report, hook.required)
      const decided =
        verdict.kind === 'stopped'
          ? {}
          : { hooksRun: index + 1, refusal: verdict.kind === 'refused' ? verdict.outcome : undefined }
      const isRecorded = await services.store.appendListEvent(
        list.id,
        { id, fence },
        index,
        { type: 'hook.finished', data: report.finished },
        decided,
      )
      if (!isRecorded) this.stop()
      if (!isRecorded || verdict.kind !== 'go') return isRecorded ? verdict : { kind: 'stopped' }
    }
    return { kind: 'go' }
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
    await this.#runAll('on-failure', record, { outcome, workspace: this.#folder?.path }, journal)
    await journal.close()
  }

  /** It ends; what they do changes nothing about how. */
  async afterRun(record: ExecutionRecord, ended: Ended, journal: RunJournal): Promise<void> {
    await this.#runAll('post-execute', record, ended, journal)
    if (ended.outcome.status === 'failed' || ended.outcome.status === 'timed_out')
      await this.#runAll('on-failure', record, ended, journal)
  }

  /** For how long its list is to be held, if this is the end of the last task. */
  get holdListMs(): number | undefined {
    return this.#isLost ? undefined : toListHold(this.#options.services, this.#options.signal)
  }

  /** It has ended, and its list is over. */
  async afterList(held: HeldList | undefined): Promise<void> {
    if (held) await closeList(this.#options, held, this.#folder?.path, this.#options.signal)
  }

  async #runAll(stage: HookStage, record: ExecutionRecord, ended: Ended, journal: RunJournal): Promise<void> {
    if (this.#isCancelled && !this.#isLost) this.#stop = new AbortController()
    for (const hook of this.#options.services.hooks.stages[stage]) {
      if (this.#isLost || this.#options.signal.aborted) return
      await this.#runNoted(stage, hook, { record, ...ended }, journal)
    }
  }

  #isStopped(): boolean {
    return this.#isCancelled || this.#isLost || this.#options.signal.aborted
  }

  async #runNoted(
    stage: HookStage,
    hook: Hook,
    facts: Omit<HookFacts, 'attempt'>,
    journal: RunJournal,
  ): Promise<HookReport> {
    const report = await this.#run(stage, hook, { ...facts, attempt: this.#options.attempt })
    await journal.write([{ type: 'hook.finished', data: report.finished }])
    return report
  }

  #run(stage: HookStage, hook: Hook, facts: HookFacts): Promise<HookReport> {
    const stopped = joinSignals([this.#options.signal, this.#stop.signal])
    return runClaimedHook(this.#options, stage, hook, { ...facts, folder: this.#folder }, stopped.signal).finally(
      stopped.release,
    )
  }
}
