import type { RunRequest } from '../../claude/command/run-request.js'
import { cutMessage, type StoredEvent } from '../../events/stored-event.js'
import type { EventData, EventType } from '../../protocol/events.js'
import type { Outcome } from '../../protocol/execution.js'

const CHUNK_CHARACTERS = 65_536
const RESULT_MARK = Buffer.from('"result"')
const REQUESTING_MARK = Buffer.from('"requesting"')

export interface Output {
  readonly type: 'stdout' | 'stderr'
  readonly data: string
}

/** What `claude` would have written, had it been started with the command's own flags. */
export interface OriginalOutput {
  /** What an event adds to the output. */
  take(event: StoredEvent): Output | undefined
  /** What is written at the very end: the answer, or what stands for it. */
  conclude(outcome: Outcome): Output | undefined
}

/** Which text each format prints was observed: facts/claude-cli.md. */
export function createOriginalOutput({
  outputFormat: format,
  rawPartials,
}: Pick<RunRequest, 'outputFormat' | 'rawPartials'>): OriginalOutput {
  let lastResult: Buffer | undefined
  return {
    take(event) {
      if (event.type === 'output') {
        const { stream, data } = parseData(event, 'output')
        return stream === 'stderr' || format === 'stream-json' ? { type: stream, data: `${data}\n` } : undefined
      }
      if (event.type !== 'claude.message') return undefined
      const message = cutMessage(event)
      if (format === 'stream-json')
        return rawPartials || !isRequesting(message)
          ? { type: 'stdout', data: `${message.toString('utf8')}\n` }
          : undefined
      if (isResult(message)) lastResult = message
      return undefined
    },
    conclude(outcome) {
      if (format === 'stream-json') return undefined
      if (format === 'json') return lastResult && { type: 'stdout', data: `${lastResult.toString('utf8')}\n` }
      const data = outcome.status === 'succeeded' ? printAnswer(outcome.result) : lastResult && printResult(lastResult)
      return data === undefined ? undefined : { type: 'stdout', data }
    },
  }
}

/** JSON mode's object as the CLI prints it. */
const printAnswer = (result: Outcome['result']): string | undefined =>
  result === undefined ? undefined : endLine(typeof result === 'object' ? JSON.stringify(result) : result)

/** The CLI ends an answer with a newline, unless it has one; its own errors get none. */
const endLine = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

/** Data of an event that the service itself wrote. */
export function parseData<Type extends EventType>({ bytes }: StoredEvent, _type: Type): EventData<Type> {
  // Written by toLine from the very type that is named here.
  return (JSON.parse(bytes.toString('utf8')) as { data: EventData<Type> }).data
}

/** Most messages are told apart without parsing them. */
function isResult(message: Buffer): boolean {
  if (!message.includes(RESULT_MARK)) return false
  return (JSON.parse(message.toString('utf8')) as { type?: unknown }).type === 'result'
}

/** The CLI says it for every request when partial messages are asked for, as this service always does. */
function isRequesting(message: Buffer): boolean {
  if (!message.includes(REQUESTING_MARK)) return false
  const { type, subtype, status } = JSON.parse(message.toString('utf8')) as {
    type?: unknown
    subtype?: unknown
    status?: unknown
  }
  return type === 'system' && subtype === 'status' && status === 'requesting'
}

/** As `claude -p` prints a result that is no success. */
function printResult(raw: Buffer): string | undefined {
  const { result, subtype, errors } = JSON.parse(raw.toString('utf8')) as {
    result?: unknown
    subtype?: unknown
    errors?: unknown
  }
  if (typeof result === 'string') return endLine(result)
  const [number] = /\d+(\.\d+)?/.exec(Array.isArray(errors) ? errors.join(' ') : '') ?? []
  const amount = number === undefined ? '' : ` (${number})`
  if (subtype === 'error_max_turns') return `Error: Reached max turns${amount}`
  if (subtype === 'error_max_budget_usd') return `Error: Exceeded USD budget${amount}`
  if (subtype === 'error_max_structured_output_retries')
    return 'Error: Failed to provide valid structured output after maximum retries'
  return subtype === 'error_during_execution' ? 'Execution error' : undefined
}

export interface Chunk {
  readonly data: string
  readonly chunk_index: number
  readonly total_chunks: number
}

/** The data in pieces that clients of the original can take; put together they are the data, to the byte. */
export function* toChunks(data: string): Generator<Chunk, void, undefined> {
  const ends: number[] = []
  for (let start = 0; start < data.length; start = ends.at(-1) ?? data.length) ends.push(findEnd(data, start))
  for (const [index, end] of ends.entries())
    yield { data: data.slice(ends[index - 1] ?? 0, end), chunk_index: index, total_chunks: ends.length }
}

/** A surrogate pair is one character: half of it is no text in UTF-8. */
function findEnd(data: string, start: number): number {
  const end = start + CHUNK_CHARACTERS
  if (end >= data.length) return data.length
  const last = data.charCodeAt(end - 1)
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end
}
