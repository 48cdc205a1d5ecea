import { runOf, type RunRequest } from '../../claude/command/run-request.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'
import { requirePermitted } from '../claim/run-policy.js'
import type { AnswerSchema } from '../json-mode/answer-schema.js'
import { newBudget } from '../json-mode/schema-checks.js'
import { requireSchemaShape, toSchemaRefusal } from '../json-mode/usable-schema.js'
import { ownFields, toTaskRequest } from '../records/plan-tasks.js'
import type { DomainServices } from '../services.js'

/** Different schemas in one list of tasks, and their length together; each costs a compilation here and two later. */
const LISTED_SCHEMAS = 100
const LISTED_SCHEMAS_BYTES = 1024 * 1024
/** Of a thread, for all schemas of a list. */
const LIST_BUDGET_MS = 10_000

/** A schema of the request, by its JSON, and the task in which it stands first. */
type Schemas = Map<string, { readonly schema: AnswerSchema; readonly name: Naming }>
/** Says where a field of a run stands in the request. */
type Naming = (path: string) => string

/** In dontAsk the CLI asks nobody: who wants to be asked has not got what he asked for. */
function requireAnswerable(run: RunRequest, { config }: Pick<DomainServices, 'config'>): void {
  if (run.onPermissionNeeded !== 'ask' || (run.permissionMode ?? config.permissionMode) !== 'dontAsk') return
  const message = 'cannot be ask with permissionMode dontAsk, in which nobody is asked'
  throw toInvalidRequest([{ path: 'onPermissionNeeded', message }])
}

/** What is asked can be run here, and by this caller; without a look at the rules of a schema. */
function checkRun(request: ExecuteRequest, services: DomainServices, caller: Caller): RunRequest {
  const run = runOf({ request })
  requireSchemaShape(run)
  requirePermitted(run, request, services, { isAdmin: caller.scopes.has('admin') })
  requireAnswerable(run, services)
  // As a field it is refused by the schema; a command says it in words.
  if (run.session && request.repository)
    throw toInvalidRequest([
      { path: 'repository', message: 'cannot be combined with a session, which continues in its own checkout' },
    ])
  return run
}

/** An error of one run, with its fields named where they stand in the request. */
function rename(error: unknown, name: Naming): unknown {
  if (!(error instanceof ExecutorError) || !error.details.errors) return error
  return toInvalidRequest(
    error.details.errors.map(({ path, message }) => ({ path: name(path), message })),
    error.code,
  )
}

/**
 * Tasks that differ in their prompts alone are looked at once. A field at fault is named where it stands: in the task,
 * or in the list.
 */
function checkTasks(request: ExecuteRequest, services: DomainServices, caller: Caller): Schemas {
  const seen = new Set<string>()
  const schemas: Schemas = new Map()
  let bytes = 0
  for (const index of request.tasks?.keys() ?? []) {
    const { prompt: _prompt, ...own } = ownFields(request, index)
    const variant = JSON.stringify(own)
    if (seen.has(variant)) continue
    seen.add(variant)
    const name: Naming = (path) => (Object.hasOwn(own, /^\w*/.exec(path)?.[0] ?? '') ? `tasks[${index}].${path}` : path)
    try {
      const { outputSchema } = checkRun(toTaskRequest(request, index), services, caller)
      const text = JSON.stringify(outputSchema)
      if (outputSchema === undefined || schemas.has(text)) continue
      schemas.set(text, { schema: outputSchema, name })
      bytes += Buffer.byteLength(text)
    } catch (error) {
      throw rename(error, name)
    }
    if (schemas.size > LISTED_SCHEMAS || bytes > LISTED_SCHEMAS_BYTES) {
      const message =
        `a list of tasks may have at most ${LISTED_SCHEMAS} different schemas, of ${LISTED_SCHEMAS_BYTES} bytes ` +
        'together as JSON'
      throw toInvalidRequest([{ path: name('outputSchema'), message }], 'PAYLOAD_TOO_LARGE')
    }
  }
  return schemas
}

/** One after the other, on a thread, within one budget. */
async function compileAll(schemas: Schemas, services: DomainServices, caller: Caller, budget = newBudget()) {
  for (const { schema, name } of schemas.values()) {
    const refusal = toSchemaRefusal(schema, await services.schemas.compile(schema, caller.id, budget))
    if (refusal) throw rename(refusal, name)
  }
}

/**
 * What is asked can be run here, and by this caller. The run; undefined for a list of tasks.
 * @throws ExecutorError INVALID_REQUEST, PAYLOAD_TOO_LARGE, FORBIDDEN, COMMAND_NOT_ALLOWED, QUEUE_FULL
 */
export async function requireRunnable(
  request: ExecuteRequest,
  services: DomainServices,
  caller: Caller,
): Promise<RunRequest | undefined> {
  if (request.tasks) {
    await compileAll(checkTasks(request, services, caller), services, caller, newBudget(LIST_BUDGET_MS))
    return undefined
  }
  const run = checkRun(request, services, caller)
  if (run.outputSchema)
    await compileAll(new Map([['', { schema: run.outputSchema, name: (path) => path }]]), services, caller)
  return run
}
