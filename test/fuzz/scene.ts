// What the requests of a battery may name: executions in every state, of which only the one that runs has a slot.
import { setTimeout as delay } from 'node:timers/promises'
import { scripted } from '../support/environment.js'
import { ask, ENDLESS, NOBODY } from '../started/scene.js'
import { openWaiters } from '../support/waiters.js'

export interface FuzzScene {
  readonly url: string
  readonly finished: string
  readonly cancelled: string
  readonly running: string
  readonly queued: string
  readonly sessionId: string
  readonly receipt: unknown
  /** All of them, and one that nobody has. */
  readonly ids: readonly string[]
  /** Ends everything, then runs one more; `progress` is called whenever one has ended; throws where none does. */
  settle(progress: () => void): Promise<void>
}

const STUCK_MS = 120_000
const KEPT = scripted(
  { tool: 'Write', input: { file_path: '${cwd}/data.bin', content: '0123456789' } },
  { text: 'Written.' },
)

export async function openFuzzScene(url: string): Promise<FuzzScene> {
  const submit = async (body: Record<string, unknown>): Promise<{ id: string; sessionId: string }> => {
    const answer = await ask(url, { method: 'POST', path: '/execute', body })
    if (answer.status !== 202) throw new Error(`not accepted: ${answer.status} ${answer.text}`)
    return answer.body
  }
  const cancel = (id: string): Promise<unknown> => ask(url, { method: 'POST', path: `/executions/${id}/cancel` })
  const waiters = openWaiters((method, path) => ask(url, { method, path }))
  const succeeds = async (prompt: string): Promise<{ id: string; sessionId: string }> => {
    const execution = await submit({ prompt })
    const { status, outcome } = await waiters.finished(execution.id)
    if (status !== 'succeeded') throw new Error(`an ordinary run: ${JSON.stringify(outcome)}`)
    return execution
  }
  const finished = await succeeds(KEPT)
  const running = await submit({ prompt: ENDLESS })
  await waiters.until(running.id, 'text.delta')
  const [queued, cancelled] = [await submit({ prompt: 'waits' }), await submit({ prompt: 'is cancelled' })]
  await cancel(cancelled.id)

  /** Tasks end with their list. */
  async function listUnfinished(): Promise<string[]> {
    const path = '/executions?status=queued,running,paused&limit=200'
    const { body } = await ask(url, { method: 'GET', path })
    return body.executions.map(({ id }: { id: string }) => id)
  }
  async function settle(progress: () => void): Promise<void> {
    let [before, since] = [await listUnfinished(), performance.now()]
    for (let left = before; left.length > 0; left = await listUnfinished()) {
      if (before.some((id) => !left.includes(id))) {
        progress()
        since = performance.now()
      }
      before = left
      if (performance.now() - since > STUCK_MS) throw new Error(`stuck: ${left.join(', ')}`)
      // The one that runs goes last: where its slot is free, others would start.
      await Promise.all((left.length > 1 ? left.filter((id) => id !== running.id) : left).map(cancel))
      await delay(50)
    }
    await succeeds('after everything')
  }
  return {
    url,
    finished: finished.id,
    cancelled: cancelled.id,
    running: running.id,
    queued: queued.id,
    sessionId: finished.sessionId,
    receipt: (await ask(url, { method: 'GET', path: `/executions/${finished.id}/receipt` })).body,
    ids: [finished.id, cancelled.id, running.id, queued.id, NOBODY],
    settle,
  }
}
