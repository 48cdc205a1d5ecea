import type { EventFeed } from '../events/event-feed.js'
import type { EventLog } from '../events/event-log.js'
import type { StartOutlook } from '../history/queue-outlook.js'
import type { RunHistory } from '../history/run-history.js'
import type { UsageLedger } from '../history/usage-ledger.js'
import type { Config } from '../platform/config.js'
import type { Logger } from '../platform/logger.js'
import type { ControlMessage } from '../queue/control-channel.js'
import type { ExecutionQueue } from '../queue/execution-queue.js'
import type { GrantKey } from '../verification/grant-key.js'
import type { SigningKey } from '../verification/signing-key.js'
import type { ScheduleAlarms } from '../queue/schedule-alarms.js'
import type { ScheduleStore } from '../schedules/schedule-store.js'
import type { Owner } from '../tokens/find-owner.js'
import type { TokenServices } from '../tokens/token-services.js'
import type { FigureKeeper } from '../telemetry/figure-keeper.js'
import type { FigureStore } from '../telemetry/figure-store.js'
import type { Figures } from '../telemetry/figures.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { SchemaChecks } from './json-mode/schema-checks.js'
import type { ExecutionReads, ExecutionStore } from './store/execution-store.js'
import type { FileStore } from './store/file-store.js'
import type { WorkerRegistry } from './store/worker-registry.js'

/** What reading needs: nothing that changes a record. */
export interface ReadServices {
  readonly config: Config
  readonly logger: Logger
  readonly store: ExecutionReads
  readonly files: FileStore
  readonly log: EventLog
  readonly workers: WorkerRegistry
  readonly history: RunHistory
  readonly ledger: UsageLedger
  /** When queued executions may be expected to start, as it was within the last second, or as it is now. */
  readonly outlook: (age?: 'newer') => Promise<StartOutlook>
}

/** What every process of the service needs of the domain. */
export interface DomainServices extends ReadServices {
  readonly store: ExecutionStore
  readonly queue: ExecutionQueue
  /**
   * What this process signs receipts with. @throws ConfigError where its file cannot be used, which the start finds out
   */
  readonly signingKey: () => Promise<SigningKey>
  /** What the processes of this data folder vouch with for the rights of a request. @throws ConfigError the same */
  readonly grantKey: () => Promise<GrantKey>
  /** Where callers' schemas are compiled and tried. */
  readonly schemas: SchemaChecks
  /** What is counted; undefined: metrics are off. */
  readonly figures: Figures | undefined
  /** undefined: tracing is off. */
  readonly tracing: Tracing | undefined
  /** Why the store may throw away what it accepts; undefined: it does not. */
  readonly eviction: () => Promise<string | undefined>
  /** Whether a token has such a webhook of its own. */
  readonly ownsWebhook: (id: string, owner: string) => Promise<boolean>
  /** Tells all workers to look at a record again. */
  readonly control: (message: ControlMessage) => Promise<void>
}

/** What following a run needs. */
export type FollowServices = ReadServices & Pick<ExecutionServices, 'feed'>

/** What the API's process needs besides. */
export interface ExecutionServices extends DomainServices {
  readonly feed: EventFeed
  /** The figures of the service and of its processes; undefined: metrics are off. */
  readonly metrics: { readonly store: FigureStore; readonly keeper: FigureKeeper } | undefined
  readonly tokens: TokenServices
  readonly schedules: ScheduleServices
}

/** What schedules need: kept where, rung by what, and whose. */
export interface ScheduleServices {
  readonly store: ScheduleStore
  readonly alarms: ScheduleAlarms
  /** What the token of a schedule may do now. */
  readonly ownerOf: (tokenId: string) => Promise<Owner>
}
