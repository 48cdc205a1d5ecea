import { sha256 } from '../../platform/hash.js'
import { KillableThread, type ThreadAnswer } from './killable-thread.js'
import type { SchemaReply, SchemaTask } from './schema-thread.js'
import type { AnswerSchema } from './answer-schema.js'

/** Together they leave the thread of leases and requests what it needs, and one slow owner does not delay the rest. */
const THREADS = 2
/** Schemas of one owner that may wait to be compiled at submission. */
const WAITING_LIMIT = 200
const IDLE_MS = 30_000
/** Of each thread; a list of a million wrong items needs about as much. */
const MEMORY_LIMIT_MB = 192
/** Verdicts on schemas that are kept, by their digest. */
const KEPT_VERDICTS = 1_000

/** Milliseconds of a thread that one request has left. Wall clock: a busy machine needs more than a quiet one. */
export interface TimeBudget {
  leftMs: number
}

export const SCHEMA_BUDGET_MS = 3_000
export const newBudget = (leftMs = SCHEMA_BUDGET_MS): TimeBudget => ({ leftMs })

export type SchemaAnswer =
  | { readonly kind: 'checked'; readonly faults: readonly string[] }
  | { readonly kind: 'unusable'; readonly message: string }
  /** Longer than the budget. */
  | { readonly kind: 'late' }
  /** No thread, or one that ended by itself. */
  | { readonly kind: 'failed'; readonly message: string }

type Thread = KillableThread<SchemaTask, SchemaReply>

interface Waiting {
  readonly task: SchemaTask
  readonly owner: string
  readonly budget: TimeBudget
  readonly answer: (answer: SchemaAnswer) => void
}

/**
 * Compiles callers' schemas and holds answers against them, in threads that are started when needed, killed when a task
 * exceeds its budget, and ended when idle. An owner has one task in work at a time; owners take turns.
 */
export class SchemaChecks {
  readonly #threadFile: URL
  readonly #idleMs: number
  readonly #memoryLimitMb: number
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #busyOwners = new Set<string>()
  readonly #verdicts = new Map<string, SchemaAnswer>()
  readonly #threads = new Set<Thread>()
  readonly #idle = new Map<Thread, NodeJS.Timeout>()
  #busy = 0
  #isClosed = false

  constructor({
    threadFile = new URL('./schema-thread.js', import.meta.url),
    idleMs = IDLE_MS,
    memoryLimitMb = MEMORY_LIMIT_MB,
  } = {}) {
    this.#threadFile = threadFile
    this.#idleMs = idleMs
    this.#memoryLimitMb = memoryLimitMb
  }

  /** How many there are now. */
  get threads(): number {
    return this.#threads.size
  }

  /** Whether answers can be held against a schema; `crowded` where too many of its owner's wait. */
  async compile(
    schema: AnswerSchema,
    owner: string,
    budget: TimeBudget,
  ): Promise<SchemaAnswer | { readonly kind: 'crowded' }> {
    if ((this.#waiting.get(owner)?.length ?? 0) >= WAITING_LIMIT) return { kind: 'crowded' }
    return this.#compile('compile', schema, owner, budget)
  }

  /** Whether the CLI itself takes it. */
  compileAsCli(schema: AnswerSchema, owner: string, budget: TimeBudget): Promise<SchemaAnswer> {
    return this.#compile('compile_as_cli', schema, owner, budget)
  }

  validate(schema: AnswerSchema, answer: unknown, owner: string, budget: TimeBudget): Promise<SchemaAnswer> {
    return this.#run({ kind: 'validate', schema: JSON.stringify(schema), answer }, owner, budget)
  }

  /** What waits is answered as failed. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { answer } of [...this.#waiting.values()].flat()) answer(CLOSED)
    this.#waiting.clear()
    for (const timer of this.#idle.values()) clearTimeout(timer)
    await Promise.all([...this.#threads].map((thread) => thread.kill()))
  }

  async #compile(
    kind: 'compile' | 'compile_as_cli',
    schema: AnswerSchema,
    owner: string,
    budget: TimeBudget,
  ): Promise<SchemaAnswer> {
    const text = JSON.stringify(schema)
    const key = `${kind} ${sha256(text)}`
    const known = this.#verdicts.get(key)
    if (known) return known
    const answer = await this.#run({ kind, schema: text }, owner, budget)
    if (answer.kind === 'checked' || answer.kind === 'unusable') {
      this.#verdicts.set(key, answer)
      const [oldest] = this.#verdicts.keys()
      if (this.#verdicts.size > KEPT_VERDICTS && oldest !== undefined) this.#verdicts.delete(oldest)
    }
    return answer
  }

  #run(task: SchemaTask, owner: string, budget: TimeBudget): Promise<SchemaAnswer> {
    return new Promise((answer) => {
      if (this.#isClosed) return answer(CLOSED)
      const line = this.#waiting.get(owner) ?? []
      line.push({ task, owner, budget, answer })
      this.#waiting.set(owner, line)
      this.#startNext()
    })
  }

  #startNext(): void {
    while (this.#busy < THREADS) {
      const next = this.#takeNext()
      if (!next) return
      this.#busy += 1
      this.#busyOwners.add(next.owner)
      void this.#answer(next)
    }
  }

  async #answer(next: Waiting): Promise<void> {
    const answer = await this.#carryOut(next)
    this.#busy -= 1
    this.#busyOwners.delete(next.owner)
    next.answer(answer)
    this.#startNext()
  }

  /** Of the owner whose turn it is: the map is in the order of turns, and whoever had one goes to its end. */
  #takeNext(): Waiting | undefined {
    const found = [...this.#waiting].find(([owner]) => !this.#busyOwners.has(owner))
    if (!found) return undefined
    const [owner, line] = found
    const next = line.shift()
    this.#waiting.delete(owner)
    if (line.length > 0) this.#waiting.set(owner, line)
    return next
  }

  /** Never rejects. */
  async #carryOut({ task, budget }: Waiting): Promise<SchemaAnswer> {
    if (budget.leftMs <= 0) return { kind: 'late' }
    let thread: Thread
    try {
      thread = this.#takeThread()
    } catch (error) {
      return { kind: 'failed', message: String(error) }
    }
    const { answer, elapsedMs } = await thread.run(task, budget.leftMs)
    budget.leftMs -= elapsedMs
    if (thread.isDead) this.#threads.delete(thread)
    else this.#keepIdle(thread)
    return toSchemaAnswer(answer)
  }

  #takeThread(): Thread {
    for (const [thread, timer] of this.#idle) {
      clearTimeout(timer)
      this.#idle.delete(thread)
      if (!thread.isDead) return thread
      this.#threads.delete(thread)
    }
    const thread: Thread = new KillableThread(this.#threadFile, this.#memoryLimitMb)
    this.#threads.add(thread)
    return thread
  }

  #keepIdle(thread: Thread): void {
    const timer = setTimeout(() => {
      this.#idle.delete(thread)
      void thread.kill().finally(() => this.#threads.delete(thread))
    }, this.#idleMs)
    this.#idle.set(thread, timer.unref())
  }
}

const CLOSED: SchemaAnswer = { kind: 'failed', message: 'the service is stopping' }

function toSchemaAnswer(answer: ThreadAnswer<SchemaReply>): SchemaAnswer {
  if (answer.kind !== 'done') return answer
  return 'faults' in answer.reply
    ? { kind: 'checked', faults: answer.reply.faults }
    : { kind: 'unusable', message: answer.reply.unusable }
}
