import type { HookEnding, HookFinished, HookStage } from '../protocol/hooks.js'
import type { Containment } from '../supervision/containment.js'
import { startSupervised, type ExitReport, type SupervisedProcess } from '../supervision/supervised-process.js'
import type { OpenFolder } from '../platform/open-folder.js'
import { sleep } from '../platform/abort-signals.js'
import { BoundedOutput } from './bounded-output.js'
import { hideSecrets, hookEnvironment } from './hook-environment.js'
import type { Hook } from './hooks-file.js'

/** Of an output its beginning and its end are kept, so much of each. */
const OUTPUT_PART_BYTES = 4 * 1024
/** Beyond this it is ended: reading on would only cost time. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024
const REASON_BYTES = 1024
/** When all of it has ended its pipes have, too; what escaped from a weak containment might hold them open. */
const END_OF_FILE_MS = 1_000

export interface HookRun {
  readonly hook: Hook
  readonly stage: HookStage
  /** What it reads, as JSON. */
  readonly context: object
  /** Set for it beside its own variables. */
  readonly variables: Readonly<Record<string, string>>
  readonly cwd: string
  /** The same, opened, where it is a workspace. */
  readonly folder?: OpenFolder | undefined
  /** The worker's environment, of which it sees the harmless part and what its entry names. */
  readonly environment: NodeJS.ProcessEnv
  readonly containment: Containment
  readonly marker: string
  readonly heartbeatTimeoutMs: number
  /** Who calls heartbeat() from now on. */
  readonly onProcess: (child: SupervisedProcess) => void
  /** Ends it at once. */
  readonly signal: AbortSignal
}

export interface HookReport {
  readonly finished: HookFinished
  /** What it wrote on standard error, or else on standard output: its beginning, on one line. */
  readonly reason: string
}

const toReason = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 500)
    .toWellFormed()

/**
 * Runs one hook to its end or to its deadline; nothing of it is left afterwards, and whatever it does is a report, not
 * an exception.
 *
 * It shares nothing with the worker but its pipes: its tree is in a namespace of its own where there are namespaces, so
 * it neither sees
 * nor can signal the service, and ends with the worker.
 */
export async function runHook({
  hook,
  stage,
  context,
  variables,
  cwd,
  folder,
  environment,
  containment,
  marker,
  heartbeatTimeoutMs,
  onProcess,
  signal,
}: HookRun): Promise<HookReport> {
  const startedAt = performance.now()
  const output = new BoundedOutput(OUTPUT_PART_BYTES)
  const streams = { stdout: new BoundedOutput(REASON_BYTES), stderr: new BoundedOutput(REASON_BYTES) }
  const hide = (text: string): string => hideSecrets(text, hook, environment)
  const report = (
    ending: HookEnding,
    exitCode: number | null = null,
    more: { signal?: string; said?: string } = {},
  ): HookReport => ({
    finished: {
      stage,
      name: hook.name,
      exitCode,
      durationMs: Math.round(performance.now() - startedAt),
      output: more.said ?? hide(output.text()),
      outputBytes: output.bytes,
      ending,
      signal: more.signal,
    },
    reason: toReason(hide(streams.stderr.bytes > 0 ? streams.stderr.text() : streams.stdout.text())),
  })
  if (signal.aborted) return report('stopped')
  const [file, ...args] = hook.argv
  let child: SupervisedProcess
  try {
    child = await startSupervised({
      containment,
      file,
      args,
      cwd,
      folder,
      env: { ...hookEnvironment(hook, environment), ...variables },
      marker,
      heartbeatTimeoutMs,
    })
  } catch (error) {
    // Codes of supervision; its messages show paths of the host.
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT_FILE')
      return report('not_found', null, { said: 'Its program was not found, or cannot be executed.' })
    return report('not_started', null, {
      said: code === 'BAD_CWD' ? 'Its folder cannot be entered.' : 'It could not be started.',
    })
  }

  let cause: HookEnding | undefined
  let exit: ExitReport | undefined
  const end = (why: HookEnding): void => {
    cause ??= why
    // Its failure is met again below, where it is waited for.
    void child.killAll().catch(() => undefined)
  }
  const onAbort = (): void => end('stopped')
  const deadline = setTimeout(() => end('timed_out'), hook.timeoutMs)
  async function drain(stream: 'stdout' | 'stderr'): Promise<void> {
    for await (const chunk of child[stream] as AsyncIterable<Buffer>) {
      output.push(chunk)
      streams[stream].push(chunk)
      if (output.bytes > OUTPUT_LIMIT_BYTES) end('output_limit')
    }
  }
  try {
    onProcess(child)
    const drained = Promise.all([drain('stdout'), drain('stderr')])
    drained.catch(() => undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    child.release()
    // It need not read it: what it leaves goes with the pipe.
    child.stdin.end(`${JSON.stringify(context)}\n`)
    if (signal.aborted) onAbort()
    exit = await child.exited
    clearTimeout(deadline)
    // What it left behind would hold its pipes open.
    await child.killAll()
    await Promise.race([drained, sleep(END_OF_FILE_MS)])
  } catch {
    // Something of it survives SIGKILL: how its program ended is told all the same.
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', onAbort)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
  }
  if (cause) return report(cause)
  return exit?.signal === null
    ? report('exited', exit.exitCode)
    : report('signalled', null, { signal: exit?.signal ?? 'SIGKILL' })
}
