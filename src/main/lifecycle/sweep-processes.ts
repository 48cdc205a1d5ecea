import type { RunServices } from '../../executions/claim/run-services.js'
import { listProcesses, readMarker } from '../../supervision/process-tree.js'
import { sweepDeadAttempts } from '../../supervision/sweep-dead-attempts.js'

/**
 * Ends processes of attempts that died with their worker. Strong containment leaves none; this is for the weak level
 * and for a stub that died in the middle of its own set-up. Attempts of other deployments on this host are not ours to
 * judge.
 */
export async function sweepProcesses(services: RunServices): Promise<number> {
  const { store, deploymentId, live, workerId } = services
  const markers = new Set(listProcesses().flatMap(({ pid }) => readMarker(pid) ?? []))
  const ours = new Set([...live.values()].map(({ marker }) => marker))
  const dead = new Set<string>()
  for (const marker of markers) {
    const [deployment, executionId = '', standbyId = ''] = marker.split('/')
    if (deployment === `${deploymentId}+standby`) {
      if (!(await isStandbys(services, executionId, standbyId))) dead.add(marker)
      continue
    }
    if (deployment !== deploymentId || ours.has(marker)) continue
    const record = await store.get(executionId)
    const isHeldElsewhere =
      record !== undefined && ['starting', 'running', 'paused'].includes(record.state) && record.workerId !== workerId
    if (!isHeldElsewhere) dead.add(marker)
  }
  return dead.size === 0 ? 0 : sweepDeadAttempts((marker) => !dead.has(marker))
}

/** Those of a CLI that stands by, or was handed to a run, are their worker's, as long as it is there. */
async function isStandbys(
  { standby, workers, workerId }: RunServices,
  ownerId: string,
  standbyId: string,
): Promise<boolean> {
  if (ownerId === workerId) return standby.holds(standbyId)
  return (await workers.list()).some(({ id }) => id === ownerId)
}
