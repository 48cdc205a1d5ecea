import { ClientError, SERVICE_UNAVAILABLE } from '../client/client-error.js'
import { nameCalls } from '../platform/own-command.js'
import type { TerminalStatus } from '../protocol/execution.js'
import { wholeNumber } from '../protocol/numbers.js'
import { nearestWord } from './nearest-word.js'

/** By outcome, as `timeout` and the shell number them; 69 is EX_UNAVAILABLE of sysexits. */
export const EXIT_CODES = { succeeded: 0, failed: 1, timed_out: 124, cancelled: 130 } as const satisfies Record<
  TerminalStatus,
  number
>
const FAILED = 1
const WRONG_USAGE = 2
const UNAVAILABLE = 69
/** As a shell reports a process that SIGPIPE ended. */
const READER_GONE = 141

/** A wrong call, told with how the command is called. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface Command {
  /** One line for the list of all commands: arguments, then what it does. */
  readonly summary: readonly [string, string]
  /** The whole of it, for `--help`; its first line also for a wrong call. */
  readonly usage: string
  /** Resolves with the exit code. */
  run(args: string[]): Promise<number>
}

export const say = (text: string): void => void process.stderr.write(`cc-executor: ${nameCalls(text)}\n`)

const isWrongUsage = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))

/** What is wrong with a call, in our words where Node's are about something else, and what was probably meant. */
export function toUsageFault({ message }: Error, usage: string): string {
  const [, flag] = /^Unknown option '(-[^']+)'/.exec(message) ?? []
  if (flag === undefined) return message
  const meant = nearestWord(flag, usage.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [])
  return `unknown flag ${flag}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** `--help` or `-h`, unless it is text behind a `--`. */
export const asksForHelp = (args: readonly string[]): boolean => {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

function toAdvice({ code }: ClientError): string {
  if (code === 'UNREACHABLE' || code === 'BAD_ANSWER')
    return ' The address comes from --url, CC_EXECUTOR_URL, the data folder or CC_EXECUTOR_PORT; npm start starts the service.'
  if (code === 'UNAUTHENTICATED')
    return ' The token is taken from CC_EXECUTOR_TOKEN, else, for this machine, from the data folder (CC_EXECUTOR_DATA_DIR).'
  if (code === 'EXECUTION_NOT_FOUND') return ' cc-executor list shows the existing ones.'
  return ''
}

function report(error: unknown, usage: string): number {
  if (isWrongUsage(error)) {
    // The fault first, and nothing that pushes it off the screen.
    const [call = ''] = usage.split('\n')
    say(`${toUsageFault(error, usage)}\n\n${call}\nRun it with --help for details.`)
    return WRONG_USAGE
  }
  if (!(error instanceof ClientError)) throw error
  say(`${error.message}${toAdvice(error)}`)
  if (error.code === 'UNREACHABLE' || error.code === 'BAD_ANSWER' || error.status === SERVICE_UNAVAILABLE)
    return UNAVAILABLE
  return error.code === 'INVALID_REQUEST' ? WRONG_USAGE : FAILED
}

/** What `src/main/program.ts` calls: everything that a user can do wrong ends in a sentence and an exit code. */
export function toRunner({ usage, run }: Command): (args: string[]) => Promise<void> {
  return async (args) => {
    if (asksForHelp(args)) return void process.stdout.write(`${usage}\n`)
    // `… | head -1`: the reader has what it wanted.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(READER_GONE)
      throw error
    })
    let exitCode: number
    try {
      exitCode = await run(args)
    } catch (error) {
      exitCode = report(error, usage)
    }
    process.exitCode = exitCode
    // The process exits next: what is still on its way to the reader, or his absence, comes first.
    await new Promise<void>((resolve) => {
      process.stdout.write('', () => resolve())
    })
  }
}

/** The only positional argument of a command. */
export function requireId(positionals: readonly string[]): string {
  const [id, ...others] = positionals
  if (id === undefined || others.length > 0) throw new UsageError('expected the id of one execution')
  // A shell variable that was never set: as a path it would name the list of all executions.
  if (id.trim() === '') throw new UsageError('the id is empty')
  return id
}

export function toWholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const { data } = wholeNumber(0, Number.MAX_SAFE_INTEGER).safeParse(text)
  if (data === undefined) throw new UsageError(`${name}: expected a whole number, not ${JSON.stringify(text)}`)
  return data
}

/** `k=v`, each once. */
export function toMetadata(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      if (equals < 1) throw new UsageError(`--metadata: expected label=value, not ${JSON.stringify(pair)}`)
      return [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
}
