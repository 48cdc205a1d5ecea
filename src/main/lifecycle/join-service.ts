import { readLocalToken } from '../../cli/find-service.js'
import { ClientError } from '../../client/client-error.js'
import { openClient, type Client } from '../../client/open-client.js'
import type { ServiceAccess } from '../../mcp/service-access.js'
import { isLoopback, type Config } from '../../platform/config.js'
import { sleep } from '../../platform/abort-signals.js'
import { listServices, type ServiceRecord } from '../../platform/service-record.js'
import { launchService, type LaunchedService } from './launch-service.js'

const LOOK_MS = 50
/** A first start probes the CLI and tests the containment; on a busy machine that takes a while. */
const START_DEADLINE_MS = 40_000
const HEALTH_DEADLINE_MS = 5_000
/** Of two that start at once the one in the way may end as well. */
const LAUNCH_LIMIT = 3
/** A call that waits shall hear soon that the service is gone, and look for it. */
const RECONNECT_SECONDS = 2
/** A service that ends by itself is told so often in its time that we are still there. */
const SIGNS_PER_PERIOD = 3

export interface JoinedService extends ServiceAccess {
  close(): void
}

interface Joined {
  readonly client: Client
  readonly presence: NodeJS.Timeout | undefined
}

const toFailure = (code: string, detail: string, retryable: boolean): ClientError =>
  new ClientError({ code, status: 0, retryable, detail })

/** The promise, or an error when the signal aborts first; the promise goes on. */
function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      reject(toFailure('UNREACHABLE', 'The service did not start in time; it may still be starting.', true))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * The service that CC_EXECUTOR_URL names; else the one that is recorded in the data folder, or one started for us.
 * away → looking (one look for all calls at once) → joined → away, when somebody found that it does not answer.
 */
export function openJoinedService(config: Config, { simulate }: { simulate: boolean }): JoinedService {
  let joining: Promise<Joined> | undefined
  const closing = new AbortController()

  async function open(url: string, isHere: boolean): Promise<Client> {
    return openClient({
      url,
      token: config.token ?? (isHere ? await readLocalToken(config) : undefined),
      patienceSeconds: RECONNECT_SECONDS,
    })
  }

  function requireKind(url: string, simulated: boolean): void {
    if (simulate && !simulated)
      throw toFailure(
        'WRONG_SERVICE',
        `--simulate was requested, but the service at ${url} runs the real Claude: stop it, or set ` +
          'CC_EXECUTOR_DATA_DIR to another folder.',
        false,
      )
  }

  /** Only whoever is recorded may answer: the port may have gone to somebody else. undefined: not now. */
  async function enterService({ url, instanceId, idleSeconds }: ServiceRecord): Promise<Joined | undefined> {
    if (url === undefined) return undefined
    const client = await open(url, true)
    const health = await client.health({ signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) }).catch(() => undefined)
    if (health?.instanceId !== instanceId) {
      client.close()
      return undefined
    }
    requireKind(url, health.simulated)
    const stay = (): void => void client.health().catch(() => undefined)
    return {
      client,
      presence:
        idleSeconds === undefined ? undefined : setInterval(stay, (idleSeconds * 1_000) / SIGNS_PER_PERIOD).unref(),
    }
  }

  async function lookOrLaunch(): Promise<Joined> {
    const deadline = performance.now() + START_DEADLINE_MS
    let launched: LaunchedService | undefined
    let lastWords: string | undefined
    let launches = 0
    while (!closing.signal.aborted && performance.now() < deadline) {
      const [record] = await listServices(config.dataDir)
      const joined = record?.state === 'serving' ? await enterService(record) : undefined
      if (joined) return joined
      if (!record && !launched) {
        if (launches === LAUNCH_LIMIT) break
        launches += 1
        const mine = await launchService(config, { simulate })
        launched = mine
        void (async () => {
          lastWords = await mine.ended
          launched = undefined
        })()
      }
      await sleep(LOOK_MS, closing.signal)
    }
    throw toFailure(
      'UNREACHABLE',
      `The service did not start${lastWords === undefined ? ' in time.' : `: ${lastWords}`} Its log is ` +
        `${config.dataDir}/service.log; run cc-executor doctor to diagnose the problem.`,
      true,
    )
  }

  async function lookUpService(): Promise<Joined> {
    if (config.url === undefined) return lookOrLaunch()
    const client = await open(
      config.url,
      URL.canParse(config.url) && isLoopback(new URL(config.url).hostname.replace(/^\[|\]$/g, '')),
    )
    requireKind(config.url, (await client.health()).simulated)
    return { client, presence: undefined }
  }

  function leave({ client, presence }: Joined): void {
    clearInterval(presence)
    client.close()
  }

  let current: Joined | undefined
  async function keepJoined(): Promise<Joined> {
    try {
      current = await lookUpService()
      return current
    } catch (error) {
      joining = undefined
      throw error instanceof ClientError
        ? error
        : toFailure('UNREACHABLE', error instanceof Error ? error.message : String(error), false)
    }
  }

  return {
    async join(signal) {
      joining ??= keepJoined()
      return (await orAborted(joining, signal)).client
    },
    forget(client) {
      if (current?.client !== client) return
      leave(current)
      current = undefined
      joining = undefined
    },
    close() {
      closing.abort()
      if (current) leave(current)
    },
  }
}
