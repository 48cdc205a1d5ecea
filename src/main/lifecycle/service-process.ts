import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sleep } from '../../platform/abort-signals.js'
import { restartDelayMs, STABLE_MS } from './restart-delay.js'

/** What a child of `start` tells: that it serves, why it cannot, or that nobody needs it any more. */
export type ChildMessage =
  | { readonly kind: 'ready'; readonly info: unknown }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'idle' }

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url))

export interface ServiceProcess<Info> {
  readonly info: Info
  readonly pid: number
  /** SIGTERM, and SIGKILL after the deadline. Idempotent. */
  close(deadlineMs: number): Promise<void>
}

export interface ServiceProcessOptions {
  readonly name: 'api' | 'worker'
  readonly environment: NodeJS.ProcessEnv
  readonly onRestart: (name: string, how: string) => void
  readonly onIdle: () => void
  /** Gives up opening it. */
  readonly signal?: AbortSignal | undefined
}

/** Where opening it is given up: nothing of it has begun. */
const GIVE_UP_MS = 5_000

const isAlive = ({ pid, exitCode, signalCode }: ChildProcess): boolean =>
  pid !== undefined && exitCode === null && signalCode === null

const startChild = ({ name, environment }: ServiceProcessOptions): ChildProcess =>
  fork(CLI, [name], { env: environment, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })

/** What it tells when it serves. @throws Error with its reason where it cannot */
async function untilReady<Info>(child: ChildProcess, { name, onIdle }: ServiceProcessOptions): Promise<Info> {
  const message = await Promise.race([
    // Safe: only our own cli.js is at the other end of this channel.
    once(child, 'message').then(([received]) => received as ChildMessage),
    once(child, 'exit').then(([code, signal]): ChildMessage => ({
      kind: 'failed',
      message: `The ${name} exited during startup (${String(signal ?? code)}).`,
    })),
  ])
  if (message.kind !== 'ready')
    throw new Error(message.kind === 'failed' ? message.message : `The ${name} was idle before it served.`)
  child.on('message', (later: ChildMessage) => {
    if (later.kind === 'idle') onIdle()
  })
  return message.info as Info
}

/**
 * Starts `cc-executor api` or `worker` as a process of its own, and again when it dies. @throws Error where it ends
 * before it serves, also because it was given up
 */
export async function openServiceProcess<Info>(options: ServiceProcessOptions): Promise<ServiceProcess<Info>> {
  const { name, onRestart, signal } = options
  /** Also while it is only being started: whoever closes then ends it as well. */
  let current = startChild(options)
  /** A second signal would end it in the midst of its own closing. */
  let isReported = false
  function stopChild(child: ChildProcess, deadlineMs: number): void {
    if (!isReported) child.kill('SIGTERM')
    isReported = true
    const deadline = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    child.once('exit', () => clearTimeout(deadline))
  }
  const giveUp = (): void => stopChild(current, GIVE_UP_MS)
  signal?.addEventListener('abort', giveUp, { once: true })
  if (signal?.aborted) giveUp()
  const info = await untilReady<Info>(current, options).finally(() => signal?.removeEventListener('abort', giveUp))
  const closed = new AbortController()
  let isClosing = false
  let failures = 0

  async function watch(): Promise<void> {
    while (!isClosing) {
      const startedAt = performance.now()
      if (isAlive(current)) await once(current, 'exit')
      if (isClosing) return
      failures = performance.now() - startedAt > STABLE_MS ? 1 : failures + 1
      onRestart(name, String(current.signalCode ?? current.exitCode))
      await sleep(restartDelayMs(failures), closed.signal)
      if (isClosing) return
      current = startChild(options)
      await untilReady(current, options).catch(() => undefined)
    }
  }
  const watching = watch()
  watching.catch(() => undefined)

  let closing: Promise<void> | undefined
  async function stop(deadlineMs: number): Promise<void> {
    isClosing = true
    closed.abort()
    const child = current
    if (!isAlive(child)) return
    const exited = once(child, 'exit')
    stopChild(child, deadlineMs)
    await exited
  }
  return {
    info,
    get pid() {
      return current.pid ?? -1
    },
    close: (deadlineMs) => (closing ??= stop(deadlineMs)),
  }
}
