// Waiting for what an execution does, by long polls: they answer when something happens.
import { sleep } from '../../src/platform/abort-signals.js'
import type { Event, EventType } from '../../src/protocol/events.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { repeat } from './deadlines.js'

export interface Waiters {
  /** Every event of an execution, by REST pages. */
  events(id: string, after?: number): Promise<Event[]>
  /** Resolves with the execution once it has ended. */
  finished(id: string, api?: number): Promise<Execution>
  /** Resolves with an event of a type: the first, or a later one by its number. */
  until<Type extends EventType>(id: string, type: Type, count?: number): Promise<Event<Type>>
}

type Call = (method: string, path: string, options: { api: number }) => Promise<{ body: ReturnType<typeof JSON.parse> }>

/** By whatever `call` says who asks. */
export function openWaiters(call: Call): Waiters {
  /** As a client does: on a machine that is held up an API may not reach Redis in time. */
  async function ask(path: string, api = 0): Promise<ReturnType<typeof JSON.parse>> {
    let { body } = await call('GET', path, { api })
    for (let tries = 0; body?.code === 'STORE_UNAVAILABLE' && tries < 40; tries += 1) {
      await sleep(250)
      ;({ body } = await call('GET', path, { api }))
    }
    return body
  }
  return {
    events(id, after = 0) {
      const all: Event[] = []
      let cursor = after
      return repeat(async () => {
        const body = await ask(`/executions/${id}/events?after=${cursor}&limit=1000`)
        all.push(...body.events)
        cursor = body.nextAfter
        return body.hasMore ? undefined : all
      }, `the log of ${id} is read`)
    },
    finished: (id, api = 0) =>
      repeat(async () => {
        const { code } = await ask(`/executions/${id}/events?types=execution.finished&waitSeconds=30`, api)
        const execution: Execution = await ask(`/executions/${id}`, api)
        if (isTerminal(execution.status)) return execution
        if (code !== undefined) throw new Error(`${id}: ${code}`)
        return undefined
      }, `${id} ends`),
    until<Type extends EventType>(id: string, type: Type, count = 1) {
      let [after, left] = [0, count]
      return repeat(async () => {
        const types = `${type},execution.finished`
        const body = await ask(`/executions/${id}/events?types=${types}&waitSeconds=30&after=${after}`)
        const found: Array<Event<Type>> = body.events.filter((event: Event) => event.type === type)
        const wanted = found[left - 1]
        if (wanted) return wanted
        left -= found.length
        if (body.finished) throw new Error(`${id} ended without ${type}`)
        after = body.nextAfter
        return undefined
      }, `${id}: ${type}`)
    },
  }
}
