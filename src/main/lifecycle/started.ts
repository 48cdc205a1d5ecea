import type { Config } from '../../platform/config.js'
import type { WorkerState } from '../../protocol/service-state.js'

export interface ApiInfo {
  readonly url: string
  readonly tokenCreated: boolean
}

export interface Started {
  readonly config: Config
  readonly api: ApiInfo
  readonly worker: WorkerState
  readonly redis: 'embedded' | 'REDIS_URL'
  /** Everything that was started ends: API, worker (drained), simulator, Redis, in this order. */
  close(): Promise<void>
}
