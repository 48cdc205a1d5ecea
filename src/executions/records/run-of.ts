import { toRunRequest, type RunRequest } from '../../claude/command/run-request.js'
import type { ExecuteRequest } from '../../protocol/execute-request.js'

const runs = new WeakMap<ExecuteRequest, RunRequest>()

/**
 * The run that the request of a record means, parsed once for each record that was read. @throws ExecutorError where it
 * means none, which submission has refused
 */
export function runOf({ request }: { readonly request: ExecuteRequest }): RunRequest {
  const known = runs.get(request)
  if (known) return known
  const run = toRunRequest(request)
  runs.set(request, run)
  return run
}
