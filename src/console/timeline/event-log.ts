import type { Event } from 'cc-executor/client'
import type { DataOf } from './items.js'
import { Timeline } from './timeline.js'

export interface Progress {
  readonly turns: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
}

/**
 * The events of one execution as they come, and what a page wants to know of them at each drawing. Everything is kept
 * up as an event is added: nothing here is looked for in a log that may be long.
 */
export class EventLog {
  readonly events: Event[] = []
  readonly timeline = new Timeline()
  readonly #byType = new Map<Event['type'], Event[]>()
  /** The newest of each attempt, which counts from nothing. */
  readonly #progress = new Map<number, DataOf<'progress'>>()
  /** Of the newest event after which the execution itself is another. */
  changedAt = 0

  add(event: Event): void {
    const { type, seq } = event
    this.events.push(event)
    this.timeline.add(event)
    const alike = this.#byType.get(type)
    if (alike) alike.push(event)
    else this.#byType.set(type, [event])
    // Safe: the data of an event is that of its type.
    if (type === 'progress') this.#progress.set(event.attempt, event.data as DataOf<'progress'>)
    if (type.startsWith('execution.') || type.startsWith('approval.') || type.startsWith('task.')) this.changedAt = seq
  }

  get lastSeq(): number {
    return this.events.at(-1)?.seq ?? 0
  }

  get types(): Array<Event['type']> {
    return [...this.#byType.keys()].sort()
  }

  ofType(type: Event['type']): readonly Event[] {
    return this.#byType.get(type) ?? []
  }

  /** Of all attempts so far; undefined before the first of them has said something. */
  get progress(): Progress | undefined {
    const all = [...this.#progress.values()]
    if (all.length === 0) return undefined
    const sumOf = (get: (progress: DataOf<'progress'>) => number | undefined): number =>
      all.reduce((sum, one) => sum + (get(one) ?? 0), 0)
    return {
      turns: sumOf(({ turns }) => turns),
      inputTokens: sumOf(({ inputTokens }) => inputTokens),
      outputTokens: sumOf(({ outputTokens }) => outputTokens),
      costUsd: sumOf(({ costUsd }) => costUsd),
    }
  }
}
