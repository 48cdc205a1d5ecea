import { randomUUID } from 'node:crypto'
import { availableParallelism, hostname } from 'node:os'
import { openExecutionWorker, type ExecutionWorker } from '../../workers/execution-worker.js'
import { CredentialPool } from '../executions/claim/credential-pool.js'
import type { RunServices } from '../executions/claim/run-services.js'
import { sandboxLevelsOf } from '../executions/claim/sandbox-levels.js'
import { HeldRuns } from '../executions/claim/held-runs.js'
import { NO_STANDBY, type Standby } from '../executions/claim/standby.js'
import { StartGate } from '../executions/claim/start-gate.js'
import { sweepExecutions, SWEEP_INTERVAL_MS } from '../executions/sweep/sweep-executions.js'
import { sweepOwners } from '../executions/sweep/sweep-owners.js'
import { removeUnneeded, sweepFolders } from '../executions/sweep/sweep-folders.js'
import { ANNOUNCE_INTERVAL_MS } from '../executions/store/worker-registry.js'
import { HookLedger } from '../hooks/hook-ledger.js'
import { listHookPrograms } from '../hooks/hook-programs.js'
import { readHooks } from '../hooks/hooks-file.js'
import type { Config } from '../platform/config.js'
import { createGitIdentity } from '../platform/git-identity.js'
import { createGrowingMask } from '../platform/growing-mask.js'
import { openWithin } from '../platform/lifetime.js'
import { createLogger } from '../platform/logger.js'
import { secretsOfEnvironment } from '../platform/secret-values.js'
import { openBoundedWait, type BoundedWait } from '../platform/bounded-wait.js'
import { closeRedis, openRedis } from '../platform/redis.js'
import { requireNotRunWritable } from '../platform/run-writable.js'
import { requireRedis } from '../platform/require-redis.js'
import type { WorkerState } from '../protocol/service-state.js'
import { receiveControl } from '../queue/control-channel.js'
import { chooseContainment } from '../supervision/containment.js'
import { openSpawner } from '../supervision/spawner.js'
import { describeCredentials } from './lifecycle/describe-credentials.js'
import { openClaudeWatch } from './lifecycle/claude-watch.js'
import { openDataFolder } from './lifecycle/open-data-folder.js'
import { openDomain, openMetrics, readDeploymentId } from './lifecycle/open-services.js'
import { openStandby, type OpenStandby } from './lifecycle/open-standby.js'
import { openTraceBook, openTraces } from './lifecycle/open-traces.js'
import { createPresence } from './lifecycle/presence.js'
import { repeat } from './lifecycle/repeat.js'
import { keepsFiles, requireContainment } from './lifecycle/require-containment.js'
import { tryInSandbox } from './self-check/try-in-sandbox.js'
import { sweepProcesses } from './lifecycle/sweep-processes.js'

const PROCESS_SWEEP_INTERVAL_MS = 30_000
/** A stopping worker that Redis has taken nothing from for so long does not wait for it. */
const SILENCE_MS = 2_000

export interface WorkerProcess {
  readonly state: WorkerState
  /** The CLIs that stand by now, as its next announcement will tell. */
  readonly standby: Standby['state']
  /** Takes nothing new, gives what runs the drain time (`at once`: none), ends the rest honestly. Idempotent. */
  close(how?: 'at once'): Promise<void>
}

/** A worker process: takes executions from the queue and runs the CLI. `signal` gives up opening it. */
export function openWorker(config: Config, redisUrl: string, signal?: AbortSignal): Promise<WorkerProcess> {
  return openWithin(async (lifetime) => {
    await openDataFolder(config)
    const hooks = await readHooks(config)
    requireNotRunWritable(listHookPrograms(hooks), config)
    const hookLedger = new HookLedger(hooks)
    await requireRedis({ ...config, redisUrl })
    const mask = createGrowingMask(secretsOfEnvironment(config.environment, config.childEnv))
    const book = openTraceBook(config)
    const logger = createLogger(config.logLevel, 'worker', mask, book?.find)
    const traces = await openTraces(config, book, { process: 'worker', logger, lifetime })
    let onClaudeChange = (): void => undefined
    const choosing = chooseContainment({
      policy: config.containment,
      extraPath: [config.cacheBin],
      signal,
    })
    const tryInside = async (binary: string, over: AbortSignal) =>
      tryInSandbox(binary, { config, containment: await choosing, signal: over })
    const opening = [
      choosing,
      openClaudeWatch({ config, logger, onChange: () => onClaudeChange(), tryInside, signal }).then((opened) =>
        lifetime.own('Claude CLI', opened, (watch) => watch.close()),
      ),
    ] as const
    // Both have come to an end before the first failure is told: what is still being opened could not be closed.
    await Promise.allSettled(opening)
    const [chosen, claude] = await Promise.all(opening)
    signal?.throwIfAborted()
    const spawner = openSpawner(chosen.programs?.perl, (err) => logger.debug({ err }, 'the worker starts runs itself'))
    lifetime.own('spawner', spawner, (opened) => opened.close())
    const containment = { ...chosen, spawner }
    const credentials = new CredentialPool({
      config,
      sandboxesOf: (method) => sandboxLevelsOf(containment, config, method),
      onSecrets: mask.add,
    })
    const { sandboxes } = credentials
    requireContainment(config, containment, sandboxes)
    if (!containment.strong || !sandboxes.every((level) => level !== 'host'))
      logger.warn({ level: containment.level }, containment.detail)
    const domain = openDomain({ config, redisUrl, logger, lifetime, traces }, 'keeper')
    await domain.signingKey()
    await domain.grantKey()
    const workerId = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
    const services: RunServices = {
      ...domain,
      workerId,
      deploymentId: await readDeploymentId(domain.redis, config.prefix),
      containment,
      get claude() {
        return claude.current()
      },
      credentials,
      hooks,
      hookLedger,
      gitIdentity: createGitIdentity(config.gitIdentity, config.environment),
      mask,
      startGate: new StartGate(availableParallelism()),
      heldRuns: new HeldRuns(config.maxHeld),
      get standby() {
        return standby?.pool ?? NO_STANDBY
      },
      live: new Map(),
    }
    let standby: OpenStandby | undefined

    const startedAt = new Date().toISOString()
    const describe = (running: number, draining: boolean): WorkerState => ({
      id: workerId,
      host: hostname(),
      pid: process.pid,
      startedAt,
      concurrency: config.concurrency,
      running,
      draining,
      pausedBecause: claude.pausedBecause(),
      ...describeCredentials(credentials),
      containment: {
        level: containment.level,
        strong: containment.strong,
        detail: containment.detail,
        files: keepsFiles(sandboxes),
        sandboxes: [...sandboxes],
      },
      claude: claude.state(),
      permissionMode: config.permissionMode,
      hooks: hookLedger.state(),
      standby: services.standby.state(),
    })

    const control = lifetime.own(
      'control subscriber',
      openRedis({ url: redisUrl, access: config.redisAccess, logger, role: 'subscriber' }),
      closeRedis,
    )
    receiveControl(control, config.prefix, ({ kind, executionId }) => {
      if (kind === 'wish') services.live.get(executionId)?.renewNow()
      else
        void removeUnneeded(services, executionId).catch((error: unknown) =>
          logger.warn({ executionId, err: error }, 'its folders could not be removed'),
        )
    })

    let wait: BoundedWait | undefined
    const withinWait = async (work: Promise<unknown>): Promise<void> => void (await (wait?.for(work) ?? work))
    let worker: ExecutionWorker | undefined
    let drainMs = config.drainSeconds * 1_000
    const presence = createPresence(services.workers, workerId, async () => {
      if (credentials.refresh(logger)) worker?.lookAgain()
      await credentials.recheck()
      return describe(worker?.running() ?? 0, worker?.isDraining() ?? false)
    })
    openMetrics(domain, 'worker', (close) => withinWait(close()), lifetime)
    lifetime.own('presence', presence, (own) => {
      // It asks by announcing.
      wait?.close()
      return withinWait(own.withdraw().catch(() => undefined))
    })
    const announce = (): Promise<void> => presence.announce()
    for (const [name, interval, round] of [
      ['announce', ANNOUNCE_INTERVAL_MS, announce],
      ['sweep', SWEEP_INTERVAL_MS, () => sweepExecutions(services)],
      ['folders', PROCESS_SWEEP_INTERVAL_MS, () => sweepFolders(services)],
      ['owners', PROCESS_SWEEP_INTERVAL_MS, () => sweepOwners(services)],
      ['processes', PROCESS_SWEEP_INTERVAL_MS, () => sweepProcesses(services)],
    ] as const) {
      lifetime.own(name, repeat(name, interval, logger, round), (opened) => withinWait(opened.close()))
    }
    // Opened last, so drained first: presence and housekeeping go on meanwhile.
    worker = lifetime.own('queue worker', openExecutionWorker(services, redisUrl), (opened) =>
      opened.close(drainMs, (wait = openBoundedWait(announce, SILENCE_MS))),
    )
    const announceChange = (): void =>
      void announce().catch((error: unknown) =>
        logger.debug({ err: error }, 'a change could not be announced; the next announcement will include it'),
      )
    // What waits for nobody goes first.
    standby = lifetime.own(
      'standby',
      openStandby(services, { mayStart: () => claude.pausedBecause() === undefined, onReady: announceChange }),
      (opened) => opened.close(),
    )
    onClaudeChange = () => {
      worker.setHeld(claude.pausedBecause() !== undefined)
      announceChange()
    }
    worker.setHeld(claude.pausedBecause() !== undefined)
    await announce()
    return {
      state: describe(0, false),
      standby: () => services.standby.state(),
      close(how) {
        if (how === 'at once') drainMs = 0
        return lifetime.close()
      },
    }
  })
}
