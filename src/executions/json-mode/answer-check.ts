import { toJson } from '../../claude/json-shape.js'
import { toUserLine } from '../../claude/command/claude-command.js'
import type { Judgement } from '../../claude/stream/classify-exit.js'
import { GAVE_UP } from '../../claude/stream/classify-result.js'
import type { ClaudeResult, Observation } from '../../claude/stream/observation.js'
import type { AnswerSchema } from './answer-schema.js'
import { newBudget, SCHEMA_BUDGET_MS, type SchemaAnswer, type SchemaChecks } from './schema-checks.js'

/** No answer counts that nobody has looked at. */
export const NOT_JUDGED: Judgement = { kind: 'invalid', isUnchecked: true, faults: ['it was not checked'], raw: '' }

export interface AnswerCheckOptions {
  readonly schema: AnswerSchema
  readonly schemas: SchemaChecks
  readonly owner: string
  readonly maxRepairs: number
  readonly observation: Observation
}

/**
 * JSON mode: holds each answer against the schema, whatever the CLI said of it, and has Claude repair it in the same
 * session, so often as allowed. (The CLI checks as well, but calls a run a success in which the model only talked.)
 */
export class AnswerCheck {
  readonly #options: AnswerCheckOptions
  #repairsLeft: number
  /** Of the last answer; a result is judged once, since a schema may be slow. */
  #judging: { readonly result: ClaudeResult; readonly judgement: Promise<Judgement> } | undefined
  #judged: { readonly result: ClaudeResult; readonly judgement: Judgement } | undefined

  constructor(options: AnswerCheckOptions) {
    this.#options = options
    this.#repairsLeft = options.maxRepairs
  }

  /** What to say to Claude after its last result: its faults, or nothing. */
  followUp(): Promise<string | undefined> | undefined {
    const result = this.#options.observation.lastResult
    if (result?.isError !== false || result.isCut === true || this.#repairsLeft === 0) return undefined
    return this.judge(result).then((judgement) => {
      if (judgement.kind === 'valid' || judgement.isUnchecked === true) return undefined
      return toUserLine({ prompt: toRepairPrompt(judgement.faults), literalPrompt: true })
    })
  }

  /** A follow-up was sent. */
  noteRepair(): void {
    this.#repairsLeft -= 1
  }

  /** Of a result that is an answer, or of the call that the CLI refused last before it gave up. */
  async judgeEnd(result: ClaudeResult | undefined): Promise<void> {
    if (result !== undefined && (!result.isError || result.subtype === GAVE_UP)) await this.judge(result)
  }

  async judge(result: ClaudeResult): Promise<Judgement> {
    if (this.#judging?.result !== result) this.#judging = { result, judgement: this.#judge(result) }
    const judgement = await this.#judging.judgement
    this.#judged = { result, judgement }
    return judgement
  }

  /** The judgement that `judge` has come to; undefined before. */
  known(result: ClaudeResult): Judgement | undefined {
    return this.#judged?.result === result ? this.#judged.judgement : undefined
  }

  async #judge({ subtype, structuredOutput, text = '', isCut }: ClaudeResult): Promise<Judgement> {
    if (isCut === true && structuredOutput === undefined)
      return {
        kind: 'invalid',
        faults: [
          'the answer exceeds the maximum length of a line of the CLI (CC_EXECUTOR_LINE_LIMIT_BYTES), so it ' +
            'could not be read',
        ],
        raw: '',
      }
    const refused = subtype === GAVE_UP ? this.#options.observation.structuredAttempt : undefined
    const answer = structuredOutput ?? refused ?? parse(text)
    if (answer === undefined)
      return {
        kind: 'invalid',
        faults: ['the answer is not valid JSON, and no call of the StructuredOutput tool was accepted'],
        raw: text,
      }
    const { schema, schemas, owner } = this.#options
    const checked = await schemas.validate(schema, answer, owner, newBudget())
    const raw = (): string => (structuredOutput === undefined && refused === undefined ? text : toJson(answer))
    if (checked.kind !== 'checked')
      return { kind: 'invalid', isUnchecked: true, faults: [describeUnchecked(checked)], raw: raw() }
    // Safe: the schema's root is an object, so what matches it is one.
    return checked.faults.length === 0
      ? { kind: 'valid', value: answer as Record<string, unknown> }
      : { kind: 'invalid', faults: checked.faults, raw: raw() }
  }
}

function describeUnchecked(answer: Exclude<SchemaAnswer, { kind: 'checked' }>): string {
  return answer.kind === 'late'
    ? `outputSchema could not be checked against it within ${SCHEMA_BUDGET_MS / 1_000} s; a pattern in it ` +
        'may backtrack excessively'
    : `outputSchema could not be checked against it: ${answer.message}`
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
