import { traceIdOf, type TraceCarrier } from './tracing.js'

/** Beyond so many the oldest are forgotten: their lines in the log lack the trace until their record is read again. */
const KEPT = 10_000

/** The traces of the executions that this process has to do with, for its log. */
export class TraceBook {
  readonly #traces = new Map<string, string>()

  note(executionId: string, trace: TraceCarrier): void {
    this.#traces.delete(executionId)
    this.#traces.set(executionId, traceIdOf(trace))
    if (this.#traces.size <= KEPT) return
    for (const oldest of this.#traces.keys()) {
      this.#traces.delete(oldest)
      return
    }
  }

  find = (executionId: string): string | undefined => this.#traces.get(executionId)
}
