import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { sha256 } from '../platform/hash.js'
import type { OpenFolder } from '../platform/open-folder.js'
import type { Containment } from '../supervision/containment.js'
import type { Sandbox } from '../supervision/sandbox.js'
import { startSupervised, type SupervisedProcess } from '../supervision/supervised-process.js'

export interface CheckCommand {
  readonly argv: readonly string[]
  readonly folder: OpenFolder
  readonly env: Readonly<Record<string, string>>
  readonly containment: Containment
  readonly marker: string
  readonly hidden: readonly string[]
  readonly exposed: readonly string[]
  readonly protected: readonly string[]
  readonly heartbeatTimeoutMs: number
  /** That of the run, where it had one above `host`. */
  readonly sandbox?: Sandbox | undefined
  /** Who calls heartbeat() from now on. */
  readonly onProcess: (child: SupervisedProcess) => void
  /** Ends it at once. */
  readonly signal: AbortSignal
}

export interface CheckCommandReport {
  /** Exit code 0, by itself. */
  readonly passes: boolean
  /** How it ended, in words. */
  readonly ending: string
  readonly durationMs: number
  readonly outputBytes: number
  /** Of its standard output and then its standard error. */
  readonly outputSha256: string
}

/** Drains a stream: only its size and hash are kept, however much it is. */
async function digestStream(stream: Readable): Promise<{ bytes: number; digest: Buffer }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, digest: hash.digest() }
}

/**
 * Runs one command in the workspace as the run itself was run; nothing of it is left afterwards. Failures are reports,
 * not exceptions.
 */
export async function runCheckCommand({
  argv: [file = '', ...args],
  folder,
  env,
  containment,
  marker,
  hidden,
  exposed,
  protected: kept,
  heartbeatTimeoutMs,
  sandbox,
  onProcess,
  signal,
}: CheckCommand): Promise<CheckCommandReport> {
  const startedAt = performance.now()
  const report = (ending: string, passes = false, outputBytes = 0, outputSha256 = sha256('')): CheckCommandReport => ({
    passes,
    ending,
    outputBytes,
    outputSha256,
    durationMs: Math.round(performance.now() - startedAt),
  })
  if (signal.aborted) return report('was not started: the time limit was reached')
  let child: SupervisedProcess
  try {
    child = await startSupervised({
      containment,
      file,
      args,
      cwd: folder.path,
      folder,
      env,
      marker,
      hiddenPaths: hidden,
      exposedPaths: exposed,
      protectedPaths: kept,
      heartbeatTimeoutMs,
      sandbox,
    })
  } catch (error) {
    // Codes of supervision; its messages show paths of the host.
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return report(code === 'ENOENT_FILE' ? 'was not found' : 'could not be started')
  }
  const kill = (): void => void child.killAll().catch(() => undefined)
  try {
    onProcess(child)
    const output = Promise.all([digestStream(child.stdout), digestStream(child.stderr)])
    output.catch(() => undefined)
    child.release()
    child.stdin.end()
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    const exit = await child.exited
    // What it left behind would hold its pipes open.
    await child.killAll()
    const [out, err] = await output
    const outputSha256 = sha256(Buffer.concat([out.digest, err.digest]))
    const ending = signal.aborted
      ? 'was stopped: the time limit was reached'
      : exit.signal
        ? `was terminated by ${exit.signal}`
        : `exited with ${exit.exitCode ?? 'no code'}`
    return report(ending, !signal.aborted && exit.exitCode === 0, out.bytes + err.bytes, outputSha256)
  } finally {
    signal.removeEventListener('abort', kill)
    await child.killAll()
    child.stdin.destroy()
    child.stdout.destroy()
    child.stderr.destroy()
  }
}
