import { toUserLine } from '../../claude/command/claude-command.js'
import type { Judgement } from '../../claude/stream/classify-exit.js'
import type { ClaudeResult, Observation } from '../../claude/stream/observation.js'
import { findAnswerFaults, type AnswerSchema } from './answer-schema.js'

/**
 * JSON mode: holds each answer against the schema, whatever the CLI said of it, and has Claude repair it in the same
 * session, so often as allowed. (The CLI checks as well, but calls a run a success in which the model only talked.)
 */
export class AnswerCheck {
  readonly #schema: AnswerSchema
  readonly #observation: Observation
  #repairsLeft: number
  /** Of the last answer; a result is judged once, since a schema may be slow. */
  #judged: { readonly result: ClaudeResult; readonly judgement: Judgement } | undefined

  constructor(schema: AnswerSchema, maxRepairs: number, observation: Observation) {
    this.#schema = schema
    this.#repairsLeft = maxRepairs
    this.#observation = observation
  }

  /** What to say to Claude after its last result: its faults, or nothing. */
  followUp(): string | undefined {
    const result = this.#observation.lastResult
    if (result?.isError !== false || result.isCut === true || this.#repairsLeft === 0) return undefined
    const judgement = this.judge(result)
    if (judgement.kind === 'valid') return undefined
    this.#repairsLeft -= 1
    return toUserLine({ prompt: toRepairPrompt(judgement.faults), literalPrompt: true })
  }

  judge(result: ClaudeResult): Judgement {
    if (this.#judged?.result !== result) this.#judged = { result, judgement: judge(this.#schema, result) }
    return this.#judged.judgement
  }
}

function judge(schema: AnswerSchema, { structuredOutput, text = '', isCut }: ClaudeResult): Judgement {
  if (isCut === true && structuredOutput === undefined)
    return {
      kind: 'invalid',
      faults: [
        'the answer is longer than a line of the CLI may be here (CC_EXECUTOR_LINE_LIMIT_BYTES), so that it could not be read',
      ],
      raw: '',
    }
  const answer = structuredOutput ?? parse(text)
  if (answer === undefined)
    return {
      kind: 'invalid',
      faults: ['the answer is no JSON, and no call of the StructuredOutput tool was accepted'],
      raw: text,
    }
  const faults = findAnswerFaults(schema, answer)
  // Safe: the schema's root is an object, so what matches it is one.
  return faults.length === 0
    ? { kind: 'valid', value: answer as Record<string, unknown> }
    : { kind: 'invalid', faults, raw: structuredOutput === undefined ? text : JSON.stringify(answer) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The simulator knows it by its first word. */
function toRepairPrompt(faults: readonly string[]): string {
  return (
    '[cc-executor] Your answer was not accepted, because it does not match the schema that was asked ' +
    `for:\n${faults.map((fault) => `- ${fault}`).join('\n')}\nGive the whole answer again with the ` +
    'StructuredOutput tool, corrected. Do not repeat the work itself.'
  )
}
