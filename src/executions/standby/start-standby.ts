import { randomUUID } from 'node:crypto'
import type { ClaudeProcess } from '../../claude/stream/spawn-claude.js'
import { bringToStandby } from '../../claude/stream/stand-by.js'
import { joinSignals } from '../../platform/abort-signals.js'
import { Lifetime } from '../../platform/lifetime.js'
import type { RunServices } from '../claim/run-services.js'
import type { StandbyTerms, WaitingCli } from '../claim/standby.js'
import { writeGitConfig } from '../run/open-folders.js'
import { heartbeatTimeoutOf, openReach, spawnRun } from '../run/run-process.js'
import { renewHome } from '../workspaces/renew-home.js'
import { makeStandbyFolders, noteStandby, removeStandbyFolders } from '../workspaces/standby-folders.js'
import { NOTHING_ASKED, planStandby } from './plan-standby.js'

/** Four times what it takes on a machine that is busy. */
const START_LIMIT_MS = 30_000

/** As it stands in the pool. */
export interface Kept extends Omit<WaitingCli, 'giveBack' | 'close'> {
  readonly terms: StandbyTerms
  readonly since: number
  /** Ends it, and removes its folders unless somebody goes on in them. Idempotent. */
  end(): Promise<void>
}

/**
 * In the environment of its processes, as the marker of a run is. Its first part is that of no deployment, so that a
 * worker of an earlier version takes them for nobody's whom it knows.
 */
export const toStandbyMarker = ({ deploymentId, workerId }: RunServices, id: string): string =>
  `${deploymentId}+standby/${workerId}/${id}`

/** Starts a CLI for nobody, in folders of its own, and waits until it has come up. Rejects where it does not. */
export async function startStandby(
  services: RunServices,
  terms: StandbyTerms,
  { id, signal }: { readonly id: string; readonly signal: AbortSignal },
): Promise<Kept> {
  const { config, workerId } = services
  const lifetime = new Lifetime()
  let isAssigned = false
  try {
    lifetime.own('folders', id, async () => {
      // Of a run they are kept as any run's are; the sweep removes those of one that did not begin after all.
      if (!isAssigned) await removeStandbyFolders(id, config)
    })
    const { folders, workspace } = await makeStandbyFolders(id, workerId, config)
    lifetime.own('workspace', workspace, (opened) => opened.close())
    await renewHome(folders.home, { isFirstAttempt: true })
    await writeGitConfig(services, folders, false)
    const place = { id, sessionId: randomUUID(), folders, workspace }
    const command = await planStandby(services, terms, place)
    const record = { id, owner: '', request: NOTHING_ASKED }
    const reach = await openReach(services, terms.credential, record, { level: terms.level, folders, planned: command })
    lifetime.own('sandbox', reach, (opened) => opened.close())
    const marker = toStandbyMarker(services, id)
    const child = await spawnRun(services, { reach, folders, workspace, marker, binary: terms.claude.binary })
    lifetime.own('processes', child, (started) => started.killAll())
    const beating = keepBeating(child, heartbeatTimeoutOf(services))
    lifetime.own('heartbeat', beating, (beats) => beats.stop())
    const over = joinSignals([signal], START_LIMIT_MS)
    try {
      await bringToStandby(child, over.signal)
    } finally {
      over.release()
    }
    let isGone = false
    void child.exited.then(() => (isGone = true))
    return {
      ...place,
      command,
      reach,
      terms,
      since: performance.now(),
      // What lets it go has happened.
      child: { ...child, release: () => undefined },
      isWaiting: () => !isGone && child.stdin.writable,
      async assign(executionId) {
        isAssigned = true
        await noteStandby(id, { workerId, executionId }, config)
        // From now on it lives by the lease of its claim.
        beating.stop()
      },
      end: () => lifetime.close(),
    }
  } catch (error) {
    await lifetime.close()
    throw error
  }
}

function keepBeating(child: ClaudeProcess, timeoutMs: number): { stop(): void } {
  const timer = setInterval(() => child.heartbeat(), timeoutMs / 4)
  return { stop: () => clearInterval(timer) }
}
