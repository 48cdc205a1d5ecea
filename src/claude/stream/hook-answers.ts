import { shorten, toRecord, toText } from '../json-shape.js'
import type { Observation } from './observation.js'

const KEPT = 100
const WORDS_SHOWN = 500
const BLOCKED = /^UserPromptSubmit operation blocked by hook:\n(.*?)(?:\n\s*Original prompt: .*)?$/s

/** What hooks of Claude's have decided, as far as their answers are in the stream (`--include-hook-events`). */
export interface HookAnswers {
  /** Of every `system` message. */
  observe(message: Readonly<Record<string, unknown>>): void
  /**
   * The result of a refused call as newer CLIs write it. 2.1.197 gives the reason of a hook that answered in JSON as
   * the tool's own error.
   */
  toHookError(tool: string, answer: string): string
}

function parseAnswer(stdout: unknown): Record<string, unknown> | undefined {
  try {
    return toRecord(JSON.parse(toText(stdout) ?? ''))
  } catch {
    return undefined
  }
}

export function createHookAnswers(observation: Observation): HookAnswers {
  const refusals = new Set<string>()

  function observeAnswer(message: Readonly<Record<string, unknown>>): void {
    const answer = parseAnswer(message['stdout'])
    if (answer === undefined) return
    const name = toText(message['hook_name']) ?? ''
    if (answer['continue'] === false)
      observation.hookStop = `${shorten(name, 100)}: ${shorten(toText(answer['stopReason']) ?? '', WORDS_SHOWN)}`
    const own = toRecord(answer['hookSpecificOutput'])
    const isRefusal = own?.['permissionDecision'] === 'deny' || answer['decision'] === 'block'
    const reason = toText(own?.['permissionDecisionReason']) ?? toText(answer['reason'])
    if (isRefusal && reason !== undefined && refusals.size < KEPT) refusals.add(`${name} hook error: ${reason}`)
  }

  return {
    observe(message) {
      if (message['subtype'] === 'hook_response') observeAnswer(message)
      // The model is not asked, and the CLI calls that a success (both versions).
      const [, words] =
        message['subtype'] === 'informational' && message['prevent_continuation'] === true
          ? (BLOCKED.exec(toText(message['content']) ?? '') ?? [])
          : []
      if (words !== undefined) observation.promptRefusal = shorten(words.trim(), WORDS_SHOWN)
    },
    toHookError(tool, answer) {
      const error = `PreToolUse:${tool} hook error: ${answer}`
      return refusals.has(error) ? error : answer
    },
  }
}
