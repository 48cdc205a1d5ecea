import { ExecutorError } from '../../protocol/errors.js'
import type { TraceCarrier } from '../../telemetry/tracing.js'
import type { DomainServices } from '../services.js'
import type { Execution } from '../../protocol/execution.js'

/**
 * The span of a submission, below which all of the execution stands: in the trace of the request that asks for it, else
 * in that of what it follows (`inherited`), else in one of its own. It ends with the acceptance: a request may be
 * answered only at the end of the run.
 */
export async function traceSubmission<Submission extends { readonly execution: Execution }>(
  { tracing }: Pick<DomainServices, 'tracing'>,
  inherited: TraceCarrier | undefined,
  submit: (below: TraceCarrier | undefined) => Promise<Submission>,
): Promise<Submission> {
  if (!tracing) return submit(inherited)
  const { name = 'submit execution', at, parent = inherited, attributes } = tracing.arrival() ?? {}
  const span = tracing.begin({ name, kind: 'server', parent, at, attributes })
  try {
    const submission = await submit(span.carrier)
    const { id, kind } = submission.execution
    span.end({ attributes: { 'cc_executor.execution.id': id, 'cc_executor.execution.kind': kind } })
    return submission
  } catch (error) {
    span.end({ error: error instanceof ExecutorError ? error.code : 'INTERNAL_ERROR' })
    throw error
  }
}
