import type { Outcome } from '../../protocol/execution.js'
import type { Observation } from './observation.js'

/**
 * Whether the same may succeed later without anybody's doing.
 * `limit`: an account's limit, which Claude says is over at a time. `transient`: the API or the way to it fails now.
 * `lasting`: everything else: authentication, budget, permissions, turns, an invalid request, an end from our side.
 */
export type Failure =
  { readonly kind: 'limit'; readonly resetsAt: Date } | { readonly kind: 'transient' } | { readonly kind: 'lasting' }

const LASTING: Failure = { kind: 'lasting' }
const TRANSIENT: Failure = { kind: 'transient' }

/** As the CLI words it (measured, 2.1.197): no host, no answer, a reset, a timeout, a stream that broke off. */
const NO_CONNECTION =
  /^API Error: (?:Unable to connect|Connection (?:closed|error|reset)|Request timed out|.*\b(?:ECONN\w+|ETIMEDOUT|EPIPE|ENETUNREACH|EAI_AGAIN|ENOTFOUND|socket hang up|fetch failed)\b)/i

/**
 * From the outcome's code, which has told apart what happened, and the CLI's last words where the code says too little.
 */
export function classifyFailure({ code, apiStatus }: Outcome, { lastResult, rateLimit }: Observation): Failure {
  switch (code) {
    case 'CLAUDE_RATE_LIMITED':
      return rateLimit?.resetsAt === undefined
        ? TRANSIENT
        : { kind: 'limit', resetsAt: new Date(rateLimit.resetsAt * 1_000) }
    case 'CLAUDE_OVERLOADED':
      return TRANSIENT
    case 'CLAUDE_EXITED':
      if (apiStatus !== undefined) return apiStatus >= 500 || apiStatus === 408 ? TRANSIENT : LASTING
      return lastResult?.isError === true && NO_CONNECTION.test(lastResult.text ?? '') ? TRANSIENT : LASTING
    default:
      return LASTING
  }
}
