import type { Readable, Writable } from 'node:stream'
import { gitEnvironment, HARDENED_OPTIONS, toOptionArguments, type GitOption } from './git-environment.js'
import { GitError, tookTooLong, toSaid } from './git-error.js'

/** Of standard output, where a caller does not take it piece by piece. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024
/** Of standard error its end is kept, where git says why it ends. */
const SAID_BYTES = 16 * 1024
const LOOK_MS = 500

/** A git that was started. */
export interface GitChild {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Never rejects. */
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>
  /** Called once all of it is read; what was started may wait for it. */
  release(): void
  /** Resolves when nothing of it is alive. */
  killAll(): Promise<void>
}

export interface GitCommand {
  readonly file: 'git'
  readonly args: readonly string[]
  readonly cwd: string
  /** All of it. */
  readonly env: Readonly<Record<string, string>>
}

/** How git is started, and what all calls of one caller have in common. */
export interface GitStart {
  readonly start: (command: GitCommand) => Promise<GitChild>
  /** The worker's environment, of which git sees the way to the network. */
  readonly environment: NodeJS.ProcessEnv
  /** A folder of the worker's for git's HOME. */
  readonly home: string
  /** Of the service's own: their paths are not told. */
  readonly ownFolders: readonly string[]
  /** For one call of git. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface GitCall {
  /** Without the program; after the hardened options. */
  readonly args: readonly string[]
  /** Real path of its working directory, which it may write. */
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly options?: readonly GitOption[]
  readonly input?: Buffer | string
  /** Takes standard output piece by piece; what it throws ends git. */
  readonly onOutput?: (chunk: Buffer) => void
  /** Looked at now and then while git works; what it rejects with ends git. */
  readonly watch?: () => Promise<void>
  /** Exit codes that are no failure. */
  readonly accepts?: readonly number[]
}

export interface GitReport {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

async function keepEnd(stream: Readable): Promise<string> {
  let kept = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const both = Buffer.concat([kept, chunk])
    kept = both.subarray(Math.max(0, both.length - SAID_BYTES))
  }
  return kept.toString()
}

const toGitError = (error: unknown): GitError =>
  error instanceof GitError ? error : new GitError('failed', error instanceof Error ? error.message : String(error))

/** As the supervision says it, and as the system does. */
function isMissing(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  const isSpawn = 'syscall' in error && String(error.syscall).startsWith('spawn')
  return error.code === 'ENOENT_FILE' || (error.code === 'ENOENT' && isSpawn)
}

const stopped = (): GitError => new GitError('stopped', 'It was stopped.')

/**
 * The one way in which the service runs git on what somebody else may have written: hardened, bounded in time and
 * bytes, and with nothing of it left when this resolves. @throws GitError
 */
export async function runGit(means: GitStart, call: GitCall): Promise<GitReport> {
  const { signal, environment, home, ownFolders } = means
  const { args, cwd, env = {}, options = [], input, onOutput, accepts = [0] } = call
  const [name = ''] = args
  if (signal.aborted) throw stopped()
  const child = await means
    .start({
      file: 'git',
      args: [...toOptionArguments([...HARDENED_OPTIONS, ...options]), ...args],
      cwd,
      env: { ...gitEnvironment(environment, home), ...env },
    })
    .catch((cause: unknown) => {
      if (isMissing(cause)) throw new GitError('failed', 'The worker has no git; install it there.', { cause })
      throw cause
    })
  let cause: GitError | undefined
  const end = (why: GitError): void => {
    cause ??= why
    // Its failure is met again below, where it is waited for.
    void child.killAll().catch(() => undefined)
  }
  const onAbort = (): void => end(stopped())
  const deadline = setTimeout(() => end(tookTooLong(name, means.timeoutMs)), means.timeoutMs)
  const look = call.watch
  const watch = look && setInterval(() => void look().catch((error: unknown) => end(toGitError(error))), LOOK_MS)
  const pieces: Buffer[] = []
  async function drain(): Promise<void> {
    let bytes = 0
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (cause) continue
      try {
        if (onOutput) onOutput(chunk)
        else if (bytes > OUTPUT_LIMIT_BYTES)
          end(new GitError('too_large', `git ${name} says more than ${OUTPUT_LIMIT_BYTES} bytes.`))
        else pieces.push(chunk)
      } catch (error) {
        end(toGitError(error))
      }
    }
  }
  try {
    const read = Promise.all([keepEnd(child.stderr), drain()])
    read.catch(() => undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    child.release()
    // It need not read all of it.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    if (signal.aborted) onAbort()
    const exit = await child.exited
    // What it left behind would hold its pipes open.
    await child.killAll()
    const [stderr] = await read
    if (cause) throw cause
    const exitCode = exit.exitCode ?? -1
    if (accepts.includes(exitCode)) return { exitCode, stdout: Buffer.concat(pieces), stderr }
    const said = toSaid(stderr, ownFolders)
    const how = exit.signal === null ? `exit code ${exitCode}` : `signal ${exit.signal}`
    throw new GitError('failed', said === '' ? `git ${name} failed (${how}).` : said)
  } finally {
    clearTimeout(deadline)
    clearInterval(watch)
    signal.removeEventListener('abort', onAbort)
    await child.killAll()
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
  }
}
