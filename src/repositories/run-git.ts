import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { RunLimits } from '../platform/run-limits.js'
import type { Containment } from '../supervision/containment.js'
import type { Sandbox } from '../supervision/sandbox.js'
import { startSupervised, type SupervisedProcess } from '../supervision/supervised-process.js'
import { gitEnvironment, HARDENED_OPTIONS, toOptionArguments } from './git-environment.js'
import { GitError, toSaid } from './git-error.js'

/** Of standard output, where a caller does not take it piece by piece. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024
/** Of standard error its end is kept, where git says why it ends. */
const SAID_BYTES = 16 * 1024
const LOOK_MS = 500

/** How a worker starts git for one claim. */
export interface GitMeans {
  readonly containment: Containment
  readonly marker: string
  readonly heartbeatTimeoutMs: number
  /** Who calls heartbeat() from now on. */
  readonly onProcess: (child: SupervisedProcess) => void
  /** The worker's environment, of which git sees the way to the network. */
  readonly environment: NodeJS.ProcessEnv
  readonly limits: RunLimits
  /** An empty folder of the worker's. */
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
  readonly options?: readonly (readonly [string, string])[]
  /** Real paths beside cwd. */
  readonly writable?: readonly string[]
  readonly readable?: readonly string[]
  /** It reads only what the worker itself has written or checked, and needs no sandbox of its own. */
  readonly isOwn?: boolean
  /** It goes out; else it has no network where there is a sandbox. */
  readonly isRemote?: boolean
  readonly input?: Buffer | string
  /** Takes standard output piece by piece; what it throws ends git. */
  readonly onOutput?: (chunk: Buffer) => void
  /** A bare repository whose packs may not grow beyond this. */
  readonly growth?: { readonly folder: string; readonly limitBytes: number }
  /** Exit codes that are no failure. */
  readonly accepts?: readonly number[]
}

interface GitReport {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** git is shown its folders and the system's programs, nothing else, where this machine can do that. */
function sandboxOf(
  { containment, home, limits }: GitMeans,
  { isOwn = false, isRemote = false, writable = [], readable = [] }: GitCall,
): Sandbox | undefined {
  if (isOwn) return undefined
  const level = isRemote ? 'workspace' : 'locked'
  if (containment.sandbox?.levels.includes(level) !== true) return undefined
  return {
    level,
    home,
    limits,
    writable: [home, ...writable],
    readable,
    sockets: [],
    hidden: [],
    protected: [],
  }
}

export async function sizeOfFolder(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function keepEnd(stream: Readable): Promise<string> {
  let kept = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const both = Buffer.concat([kept, chunk])
    kept = both.subarray(Math.max(0, both.length - SAID_BYTES))
  }
  return kept.toString()
}

/**
 * Runs git under the same supervision as a run: nothing of it is left when this resolves, however the worker or git
 * ends. @throws GitError
 */
export async function runGit(means: GitMeans, call: GitCall): Promise<GitReport> {
  const { signal, containment, marker, heartbeatTimeoutMs, environment, home, ownFolders } = means
  const { args, cwd, env = {}, options = [], input, onOutput, growth, accepts = [0] } = call
  if (signal.aborted) throw new GitError('stopped', 'It was stopped.')
  const child = await startSupervised({
    containment,
    file: 'git',
    args: [...toOptionArguments([...HARDENED_OPTIONS, ...options]), ...args],
    cwd,
    env: { ...gitEnvironment(environment, home), ...env },
    marker,
    heartbeatTimeoutMs,
    sandbox: sandboxOf(means, call),
  }).catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT_FILE')
      throw new GitError('failed', 'The worker has no git; install it there.', { cause })
    throw cause
  })
  let cause: GitError | undefined
  const end = (why: GitError): void => {
    cause ??= why
    // Its failure is met again below, where it is waited for.
    void child.killAll().catch(() => undefined)
  }
  const onAbort = (): void => end(new GitError('stopped', 'It was stopped.'))
  const seconds = Math.round(means.timeoutMs / 1_000)
  const deadline = setTimeout(
    () => end(new GitError('timed_out', `git took longer than ${seconds} seconds (CC_EXECUTOR_GIT_TIMEOUT_SECONDS).`)),
    means.timeoutMs,
  )
  const look = async ({ folder, limitBytes }: NonNullable<GitCall['growth']>): Promise<void> => {
    if ((await sizeOfFolder(join(folder, 'objects/pack'))) > limitBytes) end(tooLarge(limitBytes))
  }
  const watch = growth && setInterval(() => void look(growth), LOOK_MS)
  const pieces: Buffer[] = []
  async function drain(): Promise<void> {
    let bytes = 0
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (cause) continue
      try {
        if (onOutput) onOutput(chunk)
        else if (bytes > OUTPUT_LIMIT_BYTES) end(tooLarge(OUTPUT_LIMIT_BYTES))
        else pieces.push(chunk)
      } catch (error) {
        end(error instanceof GitError ? error : new GitError('failed', String(error)))
      }
    }
  }
  try {
    means.onProcess(child)
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
    throw new GitError('failed', said === '' ? `git ${args[0] ?? ''} failed (${how}).` : said)
  } finally {
    clearTimeout(deadline)
    clearInterval(watch)
    signal.removeEventListener('abort', onAbort)
    await child.killAll()
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
  }
}

export const tooLarge = (limitBytes: number): GitError =>
  new GitError('too_large', `The repository is larger than ${limitBytes} bytes (CC_EXECUTOR_REPOSITORY_LIMIT_BYTES).`)
