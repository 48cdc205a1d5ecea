import { shorten, toRecord, toText } from '../json-shape.js'

/** What the CLI says beside its answer and a user has to know; each becomes a sentence of the outcome's message. */
export interface Notices {
  readonly sentences: string[]
  /**
   * Until when the login of this run holds (ISO 8601), as the last `result` told it; only of a stored claude.ai login.
   */
  credentialExpiresAt?: string
  /** How far each of the account's limits is used up, from 0 to 1, by name; only of a subscription. */
  readonly limits: Map<string, LimitState>
}

export interface LimitState {
  readonly status: string
  readonly utilization?: number
  readonly resetsAt?: string
}

/** Of this attempt and of those before it. */
const SENTENCES_KEPT = 10
const LIMITS_KEPT = 20
const NAME_SHOWN = 100

/** `earlier`: what was said in the attempts before this one. */
export const createNotices = (earlier: readonly string[] = []): Notices => ({
  sentences: earlier.map((sentence) => `In an earlier attempt: ${sentence}`),
  limits: new Map(),
})

function say(notices: Notices, sentence: string): void {
  if (notices.sentences.length < SENTENCES_KEPT && !notices.sentences.includes(sentence))
    notices.sentences.push(sentence)
}

const name = (value: unknown): string => shorten(toText(value) ?? 'unknown', NAME_SHOWN)

export function noteSystemMessage(notices: Notices, message: Readonly<Record<string, unknown>>): void {
  switch (message['subtype']) {
    case 'session_writes_lost':
      say(
        notices,
        `Claude could not save all of its data (${name(message['error_code'])}: the disk or its quota is ` +
          'full): a later execution with this session may lack a part of the conversation.',
      )
      return
    case 'model_refusal_fallback':
      // Of a subagent ("local") only that answer came from another model.
      say(
        notices,
        `${name(message['original_model'])} refused, and ${name(message['fallback_model'])} answered in ` +
          `its place${message['scope'] === 'local' ? ' in a subagent' : ''}.`,
      )
      return
    default:
  }
}

export function noteCredential(notices: Notices, result: Readonly<Record<string, unknown>>): void {
  const expiresAt = toText(result['credential_expires_at'])
  const time = expiresAt === undefined ? Number.NaN : Date.parse(expiresAt)
  if (!Number.isNaN(time)) notices.credentialExpiresAt = new Date(time).toISOString()
}

function toLimit(info: Readonly<Record<string, unknown>>): LimitState {
  const { utilization, resetsAt } = info
  const resets = typeof resetsAt === 'number' ? new Date(resetsAt * 1_000) : undefined
  return {
    status: name(info['status'] ?? 'allowed'),
    utilization: typeof utilization === 'number' ? Math.max(0, utilization) : undefined,
    resetsAt: resets && !Number.isNaN(resets.getTime()) ? resets.toISOString() : undefined,
  }
}

/** `rate_limit_info`: the limit that it is about, and (newer) every window in `unifiedWindows`. */
export function noteLimits({ limits }: Notices, info: Readonly<Record<string, unknown>>): void {
  const windows = Object.entries(toRecord(info['unifiedWindows']) ?? {})
  const keepLimit = (type: string, limit: Readonly<Record<string, unknown>>): void => {
    const shown = shorten(type, NAME_SHOWN)
    if (limits.has(shown) || limits.size < LIMITS_KEPT) limits.set(shown, toLimit(limit))
  }
  for (const [type, window] of windows) keepLimit(type, toRecord(window) ?? {})
  const type = toText(info['rateLimitType'])
  if (type !== undefined && (info['utilization'] !== undefined || info['status'] === 'rejected')) keepLimit(type, info)
}
