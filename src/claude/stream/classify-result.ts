import type { OutcomeCode } from '../../protocol/execution.js'
import { shorten } from '../json-shape.js'
import type { ClaudeResult, Observation } from './observation.js'
import { GET_NEWER, readVersionRefusal } from '../supported-versions.js'

/** Why a run that has ended by itself is no success. */
export interface Failure {
  readonly code: OutcomeCode
  readonly requiredVersion?: string
  readonly message: string
}

/** JSON mode: the CLI has refused five calls of StructuredOutput. 2.1.197 does not say what was wrong with them. */
export const GAVE_UP = 'error_max_structured_output_retries'

export function describeFaults(faults: readonly string[], isUnchecked = false): Failure {
  return {
    code: 'OUTPUT_INVALID',
    message:
      `Claude's answer ${isUnchecked ? 'was not accepted' : 'does not match the schema that was asked for'}: ` +
      `${shorten(faults.join('; '), 1_000)}. The answer is kept as it was given.`,
  }
}

/** The CLI names no status for some errors (529 among them in places) but writes it into the text. */
export function apiStatusOf({ apiStatus, text = '' }: ClaudeResult): number | undefined {
  if (typeof apiStatus === 'number') return apiStatus
  const written = /API Error: (?:Request rejected \()?([45]\d\d)\b/.exec(text)?.[1]
  return written === undefined ? undefined : Number(written)
}

/** Of a last `result` that is an error. */
export function classifyResult(result: ClaudeResult, apiStatus: number | undefined, observation: Observation): Failure {
  const said = result.text ?? result.errors?.join('; ') ?? ''
  switch (result.subtype) {
    case 'error_max_turns':
      return {
        code: 'MAX_TURNS',
        message: `Claude needed more turns than allowed (${said || 'maxTurns'}). Raise maxTurns, or ask for less at once.`,
      }
    case 'error_max_budget_usd':
      return {
        code: 'BUDGET_EXCEEDED',
        message: `Claude reached the budget of this run (${said || 'maxBudgetUsd'}). Raise maxBudgetUsd, or ask for less at once.`,
      }
    case GAVE_UP:
      return describeFaults([said || 'it was refused five times'])
    case 'error_during_execution':
      if (result.startupFailure !== undefined) return describeStartupFailure(result.startupFailure, said)
      return {
        code: 'CLAUDE_EXITED',
        message:
          'Claude ended before it had ' +
          `finished${result.terminalReason === undefined ? '' : ` (${result.terminalReason})`}${said === '' ? '' : `: ${said}`}. ` +
          'Try again; what it did before is kept.',
      }
    default:
      return classifyApiError(said, apiStatus, result, observation)
  }
}

/** Reasons that are about the account or its organisation: another credential is needed. */
const SIGN_IN = /^(?:org_(?!config_required)|gateway_)/

/** `startup_failure_reason` of 2.1.332 and its like: the CLI refused to start, and no call was made. */
function describeStartupFailure(reason: string, said: string): Failure {
  const message = `Claude refused to start (${shorten(reason, 100)})${said === '' ? '' : `: ${shorten(said, 1_000)}`}.`
  return SIGN_IN.test(reason)
    ? {
        code: 'CLAUDE_NOT_AUTHENTICATED',
        message: `${message} The operator must sign in again, or set another credential.`,
      }
    : {
        code: 'CLAUDE_EXITED',
        message:
          `${message} The operator must repair that on the worker's host; \`cc-executor doctor\` checks the ` +
          'installation.',
      }
}

function classifyApiError(
  said: string,
  apiStatus: number | undefined,
  { terminalReason }: ClaudeResult,
  observation: Observation,
): Failure {
  const { apiError, rateLimit } = observation
  const quoted = said === '' ? '' : `: ${shorten(said, 1_000)}`
  const refusal = readVersionRefusal(said)
  if (refusal !== undefined) {
    const needed = refusal.requiredVersion === undefined ? 'a newer one' : `version ${refusal.requiredVersion} or newer`
    return {
      code: 'CLAUDE_TOO_OLD',
      ...refusal,
      message:
        `The worker's Claude CLI is too old for this model, which needs ${needed}${quoted} To get one: ` +
        `${GET_NEWER}; then restart the worker. Or ask for another model.`,
    }
  }
  if (apiError === 'authentication_failed' || apiStatus === 401 || isAboutLogin(said)) {
    return {
      code: 'CLAUDE_NOT_AUTHENTICATED',
      message:
        `Claude did not accept the worker's credentials${quoted}. The operator must set ANTHROPIC_API_KEY or ` +
        'CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`), or log in again.',
    }
  }
  if (apiError === 'rate_limit' || apiStatus === 429 || rateLimit !== undefined) {
    const until =
      rateLimit?.resetsAt === undefined ? 'later' : `after ${new Date(rateLimit.resetsAt * 1000).toISOString()}`
    return { code: 'CLAUDE_RATE_LIMITED', message: `Claude's rate limit was reached${quoted}. Try again ${until}.` }
  }
  if (apiStatus === 529 || /\boverloaded\b/i.test(said)) {
    return {
      code: 'CLAUDE_OVERLOADED',
      message: `Claude is overloaded${quoted}. Try again later, or set fallbackModel.`,
    }
  }
  if (terminalReason === 'prompt_too_long' || apiStatus === 413 || /prompt is too long|request too large/i.test(said)) {
    return {
      code: 'CONTEXT_TOO_LONG',
      message:
        `The conversation is longer than the model accepts${quoted}. Send less input, or choose a model with ` +
        'a larger context.',
    }
  }
  if (apiError === 'model_not_found')
    return {
      code: 'CLAUDE_EXITED',
      message: `Claude does not know this model, or the account may not use it${quoted} Choose another model.`,
    }
  if (apiError === 'billing_error')
    return {
      code: 'CLAUDE_EXITED',
      message: `Claude refused for billing reasons${quoted}. The operator should check the account's credit.`,
    }
  const advice =
    apiStatus !== undefined && apiStatus >= 500 ? ' Try again later.' : ' See the events of the execution for details.'
  return { code: 'CLAUDE_EXITED', message: `Claude reported an error${quoted || '.'}${advice}` }
}

export function isAboutLogin(text: string): boolean {
  return /^(?:Not logged in|Invalid API key|Failed to authenticate|OAuth token (?:has expired|revoked))|Please run \/login/m.test(
    text,
  )
}
