import type { OutcomeCode } from '../../protocol/execution.js'
import { shorten, toText } from '../json-shape.js'
import type { Observation } from './observation.js'

const REASON_SHOWN = 100

/**
 * How the turn that a `result` ends came to its end, and whether a `result` before it was lost: newer CLIs number them
 * within the process.
 */
export function observeStop(observation: Observation, message: Readonly<Record<string, unknown>>): void {
  const reason = toText(message['stop_reason'])
  // The CLI writes an error of its own over the model's stop reason, and names it by the error (measured, both
  // versions).
  if (observation.apiError === 'max_output_tokens') observation.stopReason = 'max_tokens'
  else if (reason !== undefined) observation.stopReason = shorten(reason, REASON_SHOWN)
  else delete observation.stopReason
  const index = message['result_index']
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < observation.nextResultIndex) return
  observation.lostResults += index - observation.nextResultIndex
  observation.nextResultIndex = index + 1
}

/** A stop that is no end of the task, whether the CLI calls it an error or a success. */
export interface NoEnd {
  readonly code: OutcomeCode
  readonly message: string
}

const incomplete = (message: string): NoEnd => ({ code: 'ANSWER_INCOMPLETE', message })

/** @param hasAnswer a text, or an accepted call of StructuredOutput, which ends a turn with the reason `tool_use` */
export function findNoEnd(
  { stopReason, lastResult, promptRefusal, hookStop }: Observation,
  hasAnswer: boolean,
): NoEnd | undefined {
  // Claude was never asked: what the CLI gives as its answer is the refusal.
  if (promptRefusal !== undefined && stopReason === undefined)
    return { code: 'HOOK_VETOED', message: `Claude's hook UserPromptSubmit refused the prompt: ${promptRefusal}` }
  if (lastResult?.terminalReason === 'hook_stopped' && !hasAnswer)
    return incomplete(`A hook of Claude's ended the run${hookStop === undefined ? '.' : ` (${hookStop}).`}`)

  if (stopReason?.startsWith('tool_deferred') || lastResult?.terminalReason?.startsWith('tool_deferred')) {
    return {
      code: 'TOOL_DEFERRED',
      message:
        'A hook deferred a tool call, but there is nobody to decide on it here: the run ended before the ' +
        'call. Remove `defer` from the hook, or let it return allow or deny.',
    }
  }
  switch (stopReason) {
    case 'refusal':
      return {
        code: 'REFUSED',
        message: 'Claude refused to answer this request. Rephrase it in a new session, or choose another model.',
      }
    case 'max_tokens':
      return incomplete(
        'The answer was cut off at the maximum length of a reply of the model. Ask for less at once, or let ' +
          'the operator raise CLAUDE_CODE_MAX_OUTPUT_TOKENS.',
      )
    case 'pause_turn':
      return incomplete('Claude stopped in the middle of its turn (pause_turn). Resume the session to let it finish.')
    case 'tool_use':
      return hasAnswer
        ? undefined
        : incomplete('Claude stopped after a tool call, without an answer. Resume the session to let it finish.')
    default:
      return undefined
  }
}
