import { randomUUID } from 'node:crypto'
import { sleep } from '../platform/abort-signals.js'
import type { Logger } from '../platform/logger.js'
import type { Family } from './exposition.js'
import type { FigureStore, ProcessKind } from './figure-store.js'
import type { Figures } from './figures.js'
import { openProcessFigures, type ProcessFigures } from './process-figures.js'

/** So often what was counted is added up: more than that a process that dies takes with it. */
const ROUND_MS = 1_000
/** Rounds between two looks at a process that counts for others. */
const ROUNDS_PER_LOOK = 5

export interface FigureKeeper {
  /** The name under which this process tells of itself, while it has one. */
  readonly name: () => Promise<string | undefined>
  readonly process: () => Promise<ProcessFigures>
  /** Adds what was counted here to the figures of the service. @throws where Redis does not take it */
  flush(): Promise<void>
  /** Adds the last ones. */
  close(): Promise<void>
}

interface Options {
  readonly kind: ProcessKind
  readonly figures: Figures
  readonly store: FigureStore
  readonly logger: Logger
}

/**
 * Adds up what a process counts, every second. A worker has no port: what it knows of itself it publishes, as long as
 * somebody reads it.
 */
export function openFigureKeeper({ kind, figures, store, logger }: Options): FigureKeeper {
  const id = randomUUID()
  const stop = new AbortController()
  let opening: Promise<ProcessFigures> | undefined
  let name: string | undefined
  const open = (): Promise<ProcessFigures> => (opening ??= openProcessFigures())
  const findName = async (): Promise<string | undefined> => (name = await store.name(kind, id))

  async function flush(): Promise<boolean> {
    const counted = figures.take() ?? { fields: {}, events: {} }
    try {
      return await store.add(counted)
    } catch (error) {
      figures.giveBack(counted)
      throw error
    }
  }

  async function publish(): Promise<void> {
    const own = await findName()
    if (own === undefined) return
    const families: Family[] = await (await open()).read(own)
    await store.publish(own, id, families)
  }

  const rounds = (async () => {
    let untilLook = 0
    while (!stop.signal.aborted) {
      try {
        const isWanted = await flush()
        untilLook = isWanted ? untilLook - 1 : 0
        if (isWanted && kind === 'worker' && untilLook < 0) {
          await publish()
          untilLook = ROUNDS_PER_LOOK
        }
      } catch (err) {
        logger.debug({ err }, 'figures were not added up; tried again')
      }
      await sleep(ROUND_MS, stop.signal)
    }
  })()

  return {
    name: findName,
    process: open,
    flush: async () => void (await flush()),
    async close() {
      stop.abort()
      await rounds
      await flush().catch(() => undefined)
      if (name !== undefined) await store.withdraw(name, id).catch(() => undefined)
    },
  }
}
