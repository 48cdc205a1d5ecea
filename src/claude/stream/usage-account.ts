import { toCount, toDollars, toRecord, toRecords, toText } from '../json-shape.js'

export interface TokenSums {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheCreationTokens: number
}

/** Tokens and dollars of all models together. */
export interface ModelSums extends TokenSums {
  readonly costUsd: number
}

const NO_SUMS: ModelSums = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  costUsd: 0,
}

const TOKENS = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheCreationTokens'] as const
/** Messages remembered by their id; the lines of one message follow each other closely. */
const MESSAGES_KEPT = 2_000

const combine = (one: ModelSums, other: ModelSums, how: (a: number, b: number) => number): ModelSums => ({
  inputTokens: how(one.inputTokens, other.inputTokens),
  outputTokens: how(one.outputTokens, other.outputTokens),
  cacheReadTokens: how(one.cacheReadTokens, other.cacheReadTokens),
  cacheCreationTokens: how(one.cacheCreationTokens, other.cacheCreationTokens),
  costUsd: how(one.costUsd, other.costUsd),
})

const add = (one: ModelSums, other: ModelSums): ModelSums => combine(one, other, (a, b) => a + b)
const larger = (one: ModelSums, other: ModelSums): ModelSums => combine(one, other, Math.max)
const subtract = (one: ModelSums, other: ModelSums): ModelSums => combine(one, other, (a, b) => Math.max(0, a - b))
const countTokens = (sums: TokenSums): number => TOKENS.reduce((total, field) => total + sums[field], 0)

/** `usage` as the API and the CLI write it. */
function toReported(value: unknown): ModelSums {
  const usage = toRecord(value) ?? {}
  return {
    inputTokens: toCount(usage['input_tokens']),
    outputTokens: toCount(usage['output_tokens']),
    cacheReadTokens: toCount(usage['cache_read_input_tokens']),
    cacheCreationTokens: toCount(usage['cache_creation_input_tokens']),
    costUsd: 0,
  }
}

/** `modelUsage` and what has its shape: sums by model. */
export function toModelSums(value: unknown): ModelSums | undefined {
  const models = toRecord(value)
  if (models === undefined) return undefined
  return toRecords(Object.values(models)).reduce<ModelSums>(
    (sums, model) =>
      add(sums, {
        inputTokens: toCount(model['inputTokens']),
        outputTokens: toCount(model['outputTokens']),
        cacheReadTokens: toCount(model['cacheReadInputTokens']),
        cacheCreationTokens: toCount(model['cacheCreationInputTokens']),
        costUsd: toDollars(model['costUSD']),
      }),
    NO_SUMS,
  )
}

export interface UsageAccount {
  /** A line of the stream that is no result: each message counts once, with the largest numbers told of it. */
  noteLine(line: Readonly<Record<string, unknown>>): void
  noteResult(message: Readonly<Record<string, unknown>>): void
  /** By the CLI's own sums, up to the last result. */
  readonly settled: ModelSums
  /** What the stream told since then. */
  readonly open: TokenSums
  /** A result came without a sum of what the stream had told: the dollars of that are not known. */
  readonly isIncomplete: boolean
}

/**
 * The tokens and dollars of one process of the CLI, as far as they are the execution's own.
 *
 * Own is what `model_usage_since_last_result` says (2.1.315 and later, measured). Before, `modelUsage` and
 * `total_cost_usd` are running sums: the difference to the result before counts. The first one of a resumed or forked
 * session goes on from the session's saved sums (`before`, its last `cost-state`; seen in 2.1.300) or from zero
 * (2.1.270 and earlier, which have no use for what a newer CLI saved): whichever is nearer to what the stream told.
 *
 * `usage` is of one turn of the main conversation; it stays at zero after a cut stream or a spent budget and leaves out
 * subagents, so the larger one counts.
 */
export function createUsageAccount(before?: ModelSums): UsageAccount {
  const messages = new Map<string, ModelSums>()
  /** Per parent: its last message, and whether that called a tool. */
  const last = new Map<string, { readonly id: string; readonly callsTool: boolean }>()
  let settled = NO_SUMS
  let open = NO_SUMS
  /** Of it the messages that have come. */
  let firm = NO_SUMS
  const begun = new Set<string>()
  let isIncomplete = false
  let unnamed = 0
  /** The CLI's running sums as the last result told them. */
  let running: ModelSums | undefined

  /** `isFirm`: the message has come; one that has only begun may be cut and asked for once more, and is in no sum. */
  function note(id: string, reported: ModelSums, isFirm = true): void {
    const known = messages.get(id) ?? NO_SUMS
    const counted = larger(known, reported)
    open = add(open, subtract(counted, known))
    if (isFirm || (messages.has(id) && !begun.has(id))) {
      firm = add(firm, begun.delete(id) ? counted : subtract(counted, known))
    } else begun.add(id)
    messages.set(id, counted)
    const [oldest] = messages.size > MESSAGES_KEPT ? messages.keys() : []
    if (oldest !== undefined) messages.delete(oldest)
  }

  function noteMessage(parent: string, value: unknown, isFirm: boolean): void {
    const message = toRecord(value)
    const id = toText(message?.['id']) ?? `unnamed ${(unnamed += 1)}`
    const known = last.get(parent)
    const callsTool =
      toRecords(message?.['content']).some(({ type }) => type === 'tool_use') || (known?.id === id && known.callsTool)
    last.set(parent, { id, callsTool })
    note(id, toReported(message?.['usage']), isFirm)
  }

  /** It names no message: it belongs to the last one that began under this parent. */
  function noteDelta(parent: string, usage: unknown): void {
    const current = last.get(parent)
    if (current !== undefined) note(current.id, toReported(usage))
  }

  /**
   * The result of a subagent's call: it alone tells of a last message without tool calls, which is not in the stream.
   */
  function noteSubagentResult(line: Readonly<Record<string, unknown>>): void {
    const reported = toRecord(line['tool_use_result'])
    if (toText(reported?.['agentId']) === undefined) return
    const block = toRecords(toRecord(line['message'])?.['content']).find(({ type }) => type === 'tool_result')
    const toolUseId = toText(block?.['tool_use_id'])
    if (toolUseId === undefined || last.get(toolUseId)?.callsTool === false) return
    note(`result of ${toolUseId}`, toReported(reported?.['usage']))
    last.delete(toolUseId)
  }

  function isContinued(total: ModelSums, reference: ModelSums): boolean {
    if (before === undefined || TOKENS.some((field) => total[field] < before[field])) return false
    const distance = (sums: TokenSums): number => Math.abs(countTokens(sums) - countTokens(reference))
    return distance(subtract(total, before)) <= distance(total)
  }

  /** What has come since the result before; undefined where the CLI gives no sums. */
  function toOwn(message: Readonly<Record<string, unknown>>, ofTurn: ModelSums): ModelSums | undefined {
    const models = toModelSums(message['modelUsage'])
    const cost = message['total_cost_usd']
    const total =
      models || typeof cost === 'number'
        ? {
            ...(models ?? add(running ?? NO_SUMS, ofTurn)),
            costUsd: typeof cost === 'number' ? toDollars(cost) : (models?.costUsd ?? 0),
          }
        : undefined
    const start = running ?? (total && isContinued(total, larger(ofTurn, open)) ? before : undefined) ?? NO_SUMS
    if (total) running = total
    return toModelSums(message['model_usage_since_last_result']) ?? (total && subtract(total, start))
  }

  return {
    noteLine(line) {
      const parent = toText(line['parent_tool_use_id']) ?? ''
      const event = toRecord(line['event'])
      if (line['type'] === 'assistant') noteMessage(parent, line['message'], true)
      else if (line['type'] === 'user') noteSubagentResult(line)
      else if (event?.['type'] === 'message_start') noteMessage(parent, event['message'], false)
      else if (event?.['type'] === 'message_delta') noteDelta(parent, event['usage'])
    },
    noteResult(message) {
      const ofTurn = toReported(message['usage'])
      const own = toOwn(message, ofTurn)
      const summed = larger(ofTurn, own ?? NO_SUMS)
      // An interrupted turn may be left out of the sums (2.1.197 gives zeros), and one without any sum is known by its
      // stream alone. Any process of the run can write a `result`: it takes back no message that the stream told of.
      const isCut = message['subtype'] === 'error_during_execution' || (own === undefined && countTokens(ofTurn) === 0)
      const reported = isCut ? open : firm
      if (TOKENS.some((field) => reported[field] > summed[field])) isIncomplete = true
      settled = add(settled, larger(summed, reported))
      firm = NO_SUMS
      begun.clear()
      open = NO_SUMS
    },
    get settled() {
      return settled
    },
    get open() {
      return open
    },
    get isIncomplete() {
      return isIncomplete
    },
  }
}
