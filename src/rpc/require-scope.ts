import type { Caller } from '../protocol/caller.js'
import { ExecutorError } from '../protocol/errors.js'
import type { Operation } from '../protocol/operations.js'

/**
 * `admin` includes every scope; a token of one execution gets what is about that one. @throws ExecutorError FORBIDDEN
 */
export function requireScope(
  caller: Caller,
  { scope, orScope = scope, forOneExecution }: Pick<Operation, 'scope' | 'orScope' | 'forOneExecution'>,
  method: string,
): void {
  if (caller.executionId !== undefined && !forOneExecution)
    throw new ExecutorError('FORBIDDEN', {
      detail: `${method} is not for a token of one execution, which may only watch it.`,
    })
  if ([scope, orScope, 'admin' as const].some((held) => caller.scopes.has(held))) return
  throw new ExecutorError('FORBIDDEN', { detail: `${method} needs a token with the ${scope} scope.` })
}
