import { runOf, sessionOf } from '../../claude/command/run-request.js'
import { withAdmitted } from '../../platform/admitted-folders.js'
import { ExecutorError } from '../../protocol/errors.js'
import { ExecuteRequest } from '../../protocol/execute-request.js'
import type { Outcome } from '../../protocol/execution.js'
import { isExecutionId } from '../../protocol/ids.js'
import { readRights } from '../claim/record-grant.js'
import { requirePermitted } from '../claim/run-policy.js'
import { digestRequest } from '../records/digest-request.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toTaskRequest } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'
import { hasFolders } from '../workspaces/prepare-workspace.js'
import { readStandbyNote } from '../workspaces/standby-folders.js'
import { fromWorkspaceRoot, nameRequested, workspaceOf } from '../workspaces/workspace-name.js'

const changed = (why: string): ExecutorError =>
  new ExecutorError('FORBIDDEN', { detail: `the record differs from what the API stored: ${why}.` })

/** Whose word the record stands on: its own submission, or that of its list. */
async function findSubmission({ store }: DomainServices, record: ExecutionRecord): Promise<ExecutionRecord> {
  if (record.parentId === undefined) return record
  const list = await store.get(record.parentId)
  if (!list) throw changed('its task list does not exist')
  const asked = digestRequest(toTaskRequest(list.request, record.taskIndex ?? 0))
  if (list.owner !== record.owner || asked !== record.requestDigest)
    throw changed('its task list requests something else')
  return list
}

/**
 * Whether an attempt before this one was handed a CLI that stood by, and so its folders, which bear another id: those
 * of this host say whose they are. Of an id that is not here there is nothing to be had.
 */
async function isHandedOver(
  { id, home, workspace, parentId, request }: ExecutionRecord,
  { config }: DomainServices,
): Promise<boolean> {
  if (home === id || home !== workspace || !isExecutionId(home)) return false
  if (parentId !== undefined || request.workspace !== undefined || sessionOf(request) !== undefined) return false
  const note = await readStandbyNote(home, config)
  return note ? note.executionId === id : !(await hasFolders(home, config))
}

/** A conversation is gone on with only by whom it belongs to, where it was held. */
async function checkSession(
  { store, config }: DomainServices,
  record: ExecutionRecord,
  isMoved: boolean,
): Promise<void> {
  if (sessionOf(record.request) === undefined) {
    if ((record.home !== record.id && !isMoved) || record.source)
      throw changed('it continues a conversation that was not requested')
    return
  }
  const before = record.resumedFrom === undefined ? undefined : await store.get(record.resumedFrom)
  if (!before) return
  if (before.owner !== record.owner) throw changed('the conversation that it continues belongs to another owner')
  const workspaces = [before.workspace, fromWorkspaceRoot(before.workspace, config)]
  if (before.home !== record.home || !workspaces.includes(record.workspace))
    throw changed('the conversation that it continues was held elsewhere')
}

async function checkWorkspace(
  record: ExecutionRecord,
  submission: ExecutionRecord,
  { config }: DomainServices,
): Promise<void> {
  if (sessionOf(record.request) !== undefined) return
  const settings = await withAdmitted(config, record.owner, submission.request.workspace)
  const { name } = nameRequested(submission.request, submission.id, settings)
  if (name !== workspaceOf(record, submission, config)) throw changed('its workspace is not the requested one')
}

function checkBudget({ budget }: ExecutionRecord, { config }: DomainServices): void {
  const over = [
    { name: 'maxBudgetUsd', setting: 'CC_EXECUTOR_MAX_BUDGET_USD', has: budget?.usd, cap: config.maxBudgetUsd },
    {
      name: 'maxBudgetTokens',
      setting: 'CC_EXECUTOR_MAX_BUDGET_TOKENS',
      has: budget?.tokens,
      cap: config.maxBudgetTokens,
    },
  ].find(({ has, cap }) => has !== undefined && cap !== undefined && has > cap)
  if (over)
    throw new ExecutorError('FORBIDDEN', {
      detail:
        `${over.name}: ${over.has} is reserved, and ${over.cap} is the maximum that a run may spend here ` +
        `(${over.setting}).`,
    })
}

/**
 * A worker takes nobody's word for what a record asks, since more can write to the store than the API that checked it:
 * everything is checked again here, by this worker's own settings. Its outcome where it is refused.
 */
export async function checkRecord(services: DomainServices, record: ExecutionRecord): Promise<Outcome | undefined> {
  try {
    if (digestRequest(record.request) !== record.requestDigest) throw changed('its request does not match its digest')
    if (!ExecuteRequest.safeParse(record.request).success) throw changed('its request is not one that the API accepts')
    if (record.timeoutEstimate && record.request.timeoutSeconds !== 'auto') throw changed('no estimate was requested')
    const submission = await findSubmission(services, record)
    const rights = await readRights(services, submission)
    requirePermitted(runOf(record), record.request, services, rights)
    const isMoved = await isHandedOver(record, services)
    if (!isMoved) await checkWorkspace(record, submission, services)
    await checkSession(services, record, isMoved)
    checkBudget(record, services)
    return undefined
  } catch (error) {
    if (!(error instanceof ExecutorError)) throw error
    return {
      status: 'failed',
      code: 'FORBIDDEN',
      message: `The worker does not run this: ${error.message}`,
    }
  }
}
