import type { Event } from 'cc-executor/client'
import type { DataOf } from './items.js'
import { Timeline } from './timeline.js'

/**
 * The events of one execution as they come, and what a page wants to know of them at each drawing. Everything is kept
 * up as an event is added: nothing here is looked for in a log that may be long.
 */
export class EventLog {
  readonly events: Event[] = []
  readonly timeline = new Timeline()
  readonly #byType = new Map<Event['type'], Event[]>()
  /** Of the newest event after which the execution itself is another. */
  changedAt = 0

  add(event: Event): void {
    const { type, seq } = event
    this.events.push(event)
    this.timeline.add(event)
    const alike = this.#byType.get(type)
    if (alike) alike.push(event)
    else this.#byType.set(type, [event])
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

  get progress(): DataOf<'progress'> | undefined {
    // Safe: the data of an event is that of its type.
    return this.ofType('progress').at(-1)?.data as DataOf<'progress'> | undefined
  }
}
