import type { Caller } from '../protocol/caller.js'
import { ExecutorError } from '../protocol/errors.js'
import type { Operation } from '../protocol/operations.js'

/**
 * `admin` includes every scope; a token of one execution gets what is about that one. @throws ExecutorError FORBIDDEN
 */
export function requireScope(
  caller: Caller,
  { scope, forOneExecution }: Pick<Operation, 'scope' | 'forOneExecution'>,
  method: string,
): void {
  if (caller.executionId !== undefined && !forOneExecution)
    throw new ExecutorError('FORBIDDEN', {
      detail: `${method} is not for a token of one execution, which may only watch it.`,
    })
  if (caller.scopes.has(scope) || caller.scopes.has('admin')) return
  throw new ExecutorError('FORBIDDEN', { detail: `${method} needs a token with the ${scope} scope.` })
}
