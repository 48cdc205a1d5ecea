import { Worker } from 'node:worker_threads'

/** A machine with other work may need a while to load the thread's modules. */
const START_LIMIT_MS = 30_000
const LATE = Symbol('late')

export type ThreadAnswer<Reply> =
  | { readonly kind: 'done'; readonly reply: Reply }
  /** It took longer than it may. */
  | { readonly kind: 'late' }
  /** The thread could not be started, or ended by itself: for want of memory, as a rule. */
  | { readonly kind: 'failed'; readonly message: string }

/**
 * A thread that does one task at a time and is killed where that takes too long. Its file answers 'ready' first, then
 * each message with one. It never keeps the process alive; only the timer of a task does.
 *
 *     starting → ready ⇄ busy; a task that is late or fails, its own end and `kill` lead to dead
 */
export class KillableThread<Task, Reply> {
  readonly #worker: Worker
  readonly #ready: Promise<unknown>
  /** Resolves with why. */
  readonly #dead: Promise<string>
  #isDead = false

  /** The limit ends the thread, not the process, where a task asks for more. */
  constructor(file: URL, memoryLimitMb: number) {
    const worker = new Worker(file, {
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
    })
    worker.unref()
    this.#worker = worker
    this.#ready = new Promise((resolve) => void worker.once('message', resolve))
    this.#dead = new Promise((resolve) => {
      const end = (message: string): void => {
        this.#isDead = true
        resolve(message)
      }
      worker.on('error', (error: NodeJS.ErrnoException) =>
        end(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it needs too much memory' : error.message),
      )
      worker.on('messageerror', (error) => end(error.message))
      worker.on('exit', () => end('its thread has ended'))
    })
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** One at a time. The limit, and what has elapsed of it, count from the moment at which the thread can begin. */
  async run(task: Task, limitMs: number): Promise<{ answer: ThreadAnswer<Reply>; elapsedMs: number }> {
    const start = await within(Promise.race([this.#ready, this.#dead]), START_LIMIT_MS)
    if (this.#isDead || start === LATE)
      return { answer: await this.#fail(start === LATE ? 'its thread did not start' : String(start)), elapsedMs: 0 }
    const startedAt = performance.now()
    const answer = await this.#carryOut(task, limitMs)
    return { answer, elapsedMs: performance.now() - startedAt }
  }

  async #carryOut(task: Task, limitMs: number): Promise<ThreadAnswer<Reply>> {
    // Safe: the file answers each task with its reply.
    const replied = new Promise<{ reply: Reply }>((resolve) => {
      this.#worker.once('message', (reply: Reply) => resolve({ reply }))
    })
    try {
      this.#worker.postMessage(task)
    } catch (error) {
      return this.#fail(error instanceof Error ? error.message : String(error))
    }
    const answer = await within(Promise.race([replied, this.#dead]), limitMs)
    if (typeof answer === 'object') return { kind: 'done', reply: answer.reply }
    if (answer !== LATE) return this.#fail(answer)
    await this.kill()
    return { kind: 'late' }
  }

  /** Resolves when it is gone; a pattern that backtracks is interrupted. */
  async kill(): Promise<void> {
    this.#isDead = true
    await this.#worker.terminate()
  }

  async #fail(message: string): Promise<ThreadAnswer<Reply>> {
    await this.kill()
    return { kind: 'failed', message }
  }
}

async function within<Value>(work: Promise<Value>, limitMs: number): Promise<Value | typeof LATE> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<typeof LATE>((resolve) => {
    // A process that was stopped for a while finds its timer due before the reply that has come meanwhile.
    timer = setTimeout(() => setImmediate(() => setImmediate(resolve, LATE)), limitMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
