import type { Caller } from '../protocol/caller.js'
import type { Scope } from '../protocol/caller.js'
import { ExecutorError } from '../protocol/errors.js'

/** `admin` includes every scope. @throws ExecutorError FORBIDDEN */
export function requireScope(caller: Caller, scope: Scope, method: string): void {
  if (caller.scopes.has(scope) || caller.scopes.has('admin')) return
  throw new ExecutorError('FORBIDDEN', { detail: `${method} needs a token with the ${scope} scope.` })
}
