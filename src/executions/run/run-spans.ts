import type { Outcome, Usage } from '../../protocol/execution.js'
import type { OpenSpan, Tracing } from '../../telemetry/tracing.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { AttemptReport } from './attempt-options.js'
import type { StartedAttempt } from './start-attempt.js'

/** What an execution has waited for until this claim, as a span of the past. */
export function traceQueueWait(tracing: Tracing, record: ExecutionRecord, now: number): void {
  const { id, trace: parent, priority, createdAt, queuedAt = createdAt, attempt } = record
  const attributes = {
    'cc_executor.execution.id': id,
    'cc_executor.attempt': attempt + 1,
    'cc_executor.priority': priority,
  }
  tracing.begin({ name: 'queue wait', parent, at: Math.min(queuedAt, now), attributes }).end({ at: now })
}

/** The span of an attempt, below which the CLI's own stand. */
export function beginRunSpan(tracing: Tracing, record: ExecutionRecord, attempt: number): OpenSpan {
  const { id, trace: parent, parentId, taskIndex, model, request } = record
  return tracing.begin({
    name: 'invoke_agent claude',
    kind: 'client',
    parent,
    attributes: {
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.agent.name': 'claude',
      'gen_ai.request.model': request.model ?? model,
      'cc_executor.execution.id': id,
      'cc_executor.attempt': attempt,
      'cc_executor.list.id': parentId,
      'cc_executor.task.index': parentId === undefined ? undefined : taskIndex,
    },
  })
}

const errorOf = ({ status, code }: Outcome): string | undefined =>
  status === 'succeeded' ? undefined : (code ?? status)

const toUsage = ({ inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens }: Usage) => ({
  // As the conventions count: with what came out of a cache, and what went into it.
  'gen_ai.usage.input_tokens': inputTokens + cacheReadTokens + cacheCreationTokens,
  'gen_ai.usage.output_tokens': outputTokens,
})

export function endRunSpan(
  span: OpenSpan | undefined,
  { outcome, usage }: AttemptReport,
  { attempt, prepared }: StartedAttempt,
): void {
  span?.end({
    error: errorOf(outcome),
    attributes: {
      'gen_ai.response.model': attempt.observation.model,
      'gen_ai.conversation.id': prepared.sessionId,
      ...toUsage(usage),
    },
  })
}
