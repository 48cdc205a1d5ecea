import { MICRO } from '../../history/units.js'
import { fromStore } from '../../platform/redis.js'
import type { Config } from '../../platform/config.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest, type FieldError } from '../../protocol/errors.js'
import { isTerminal, type Execution } from '../../protocol/execution.js'
import { BUDGET_CHANGES_LIMIT } from '../../protocol/limits.js'
import type { NewBudget } from '../../protocol/usage.js'
import { enqueueReady } from '../conclude/enqueue-ready.js'
import { toQueueDeadline } from '../conclude/unpark-execution.js'
import { requireExecution } from '../read/find-execution.js'
import { toExecution, type ExecutionRecord } from '../records/execution-record.js'
import { toBudgetError } from '../records/plan-budget.js'
import { planRest, spentOf, findUsedUp } from '../records/plan-rest.js'
import type { DomainServices } from '../services.js'
import { notifyWorkers } from './notify-workers.js'

/** How often it is tried again when the execution changed its state in between. */
const TRIES = 5

function requireWithinCaps({ maxBudgetUsd, maxBudgetTokens }: NewBudget, config: Config): void {
  const over = [
    { path: 'maxBudgetUsd', setting: 'CC_EXECUTOR_MAX_BUDGET_USD', asked: maxBudgetUsd, cap: config.maxBudgetUsd },
    {
      path: 'maxBudgetTokens',
      setting: 'CC_EXECUTOR_MAX_BUDGET_TOKENS',
      asked: maxBudgetTokens,
      cap: config.maxBudgetTokens,
    },
  ].find(({ asked, cap }) => asked !== undefined && cap !== undefined && asked > cap)
  if (!over) return
  const { path, setting, asked, cap } = over
  throw new ExecutorError('FORBIDDEN', {
    detail: `${path}: ${asked} is more than the maximum that a run may spend here, ${cap} (${setting}).`,
    errors: [{ path, message: `must not be more than ${cap}` }],
  })
}

/** With a limit that is used up already nothing could go on. */
function requireMoreThanSpent({ maxBudgetUsd, maxBudgetTokens }: NewBudget, { usage }: ExecutionRecord): void {
  const spent = spentOf(usage)
  const errors: FieldError[] = []
  if (maxBudgetUsd !== undefined && maxBudgetUsd * MICRO <= spent.usd)
    errors.push({ path: 'maxBudgetUsd', message: `must be more than it has spent so far, ${spent.usd / MICRO}` })
  if (maxBudgetTokens !== undefined && maxBudgetTokens <= spent.tokens)
    errors.push({ path: 'maxBudgetTokens', message: `must be more than it has used so far, ${spent.tokens}` })
  if (errors.length > 0) throw toInvalidRequest(errors)
}

function requireChangeable({ id, kind, state, tasks, budgetChanges = [] }: ExecutionRecord): void {
  if (isTerminal(state))
    throw new ExecutorError('ALREADY_FINISHED', { detail: `The execution has already finished: ${state}.` })
  if (kind === 'task_list') {
    const task = tasks?.findLast((one) => !isTerminal(one.state))
    throw new ExecutorError('NOT_RUNNING', {
      detail: `Each task of a list has its own budget${task ? `; the current task is ${task.id}` : ''}.`,
    })
  }
  if (budgetChanges.length >= BUDGET_CHANGES_LIMIT)
    throw new ExecutorError('FORBIDDEN', {
      detail: `The budget of ${id} was changed ${BUDGET_CHANGES_LIMIT} times already.`,
    })
}

/**
 * Sets what an execution may spend in all its attempts. One that is parked for its budget goes on, where the new limits
 * leave something; one that runs goes on when it meets the limit that it was started with.
 * @throws ExecutorError EXECUTION_NOT_FOUND, ALREADY_FINISHED, NOT_RUNNING (a list), FORBIDDEN, INVALID_REQUEST,
 * BUDGET_EXCEEDED (the day has not so much left), STORE_UNAVAILABLE
 */
export async function changeBudget(
  services: DomainServices,
  id: string,
  caller: Caller,
  budget: NewBudget,
): Promise<Execution> {
  const { store, config } = services
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const record = await requireExecution(services, id, caller)
    requireChangeable(record)
    requireWithinCaps(budget, config)
    requireMoreThanSpent(budget, record)
    const at = new Date(await fromStore(store.now()))
    const { budgetChanges = [], usage } = record
    const change = { ...budget, at: at.toISOString(), by: caller.name }
    const changed = { ...record, budget: undefined, budgetChanges: [...budgetChanges, change] }
    const answer = await fromStore(
      store.setBudget(record, {
        budget,
        by: caller.name,
        at,
        dailyBudget: caller.dailyBudget,
        wantedBudget: planRest(changed, caller.dailyBudget, config, { isRest: false }),
        isEnough: findUsedUp(changed, usage, config).limit === 'none',
        queueDeadline: toQueueDeadline(record, at),
      }),
    )
    switch (answer.kind) {
      case 'over':
        throw toBudgetError(answer.refusal, caller.name)
      case 'unparked':
        await enqueueReady(services, answer.ready)
        return toExecution(await requireExecution(services, id, caller))
      case 'changed':
        // One that runs writes the event, and will know what it may spend.
        await notifyWorkers(services, id)
        return toExecution(await requireExecution(services, id, caller))
      case 'refused':
      case 'moved':
        continue
    }
  }
  throw new ExecutorError('STORE_UNAVAILABLE', { detail: 'The execution kept changing; try again.' })
}
