import { fromStore } from '../../platform/redis.js'
import type { HooksState } from '../../protocol/hooks.js'
import type { ReadServices } from '../services.js'

const RECENT = 10

/** The hooks of all workers that are present, together; each has read a file of its own. */
export interface HooksOfWorkers extends Omit<HooksState, 'path' | 'timeoutSeconds'> {
  /** Of the first worker that has hooks, else of the first; undefined: no worker is present. */
  readonly path?: string
  readonly timeoutSeconds?: number
}

export async function getHooks({ workers }: ReadServices): Promise<HooksOfWorkers> {
  const states = (await fromStore(workers.list())).flatMap(({ hooks }) => hooks ?? [])
  const first = states.find(({ configured }) => configured.length > 0) ?? states[0]
  const sum = (field: 'runs' | 'failed' | 'vetoed'): number => states.reduce((total, state) => total + state[field], 0)
  return {
    path: first?.path,
    timeoutSeconds: first?.timeoutSeconds,
    configured: [...new Set(states.flatMap(({ configured }) => configured))],
    runs: sum('runs'),
    failed: sum('failed'),
    vetoed: sum('vetoed'),
    recent: states
      .flatMap(({ recent }) => recent)
      .sort((left, right) => left.at.localeCompare(right.at))
      .slice(-RECENT),
  }
}
