import { setTimeout as delay } from 'node:timers/promises'

import { hasProc, isAlive, isLiving, listProcesses, nextLook, readMarker, signalProcess } from './process-tree.js'
import type { ProcessIdentity } from './process-tree.js'
import { listRunProcesses } from './run-processes.js'
import type { RunProcesses } from './run-processes.js'
import type { SpawnedRoot } from './spawned-root.js'

const KILL_DEADLINE_MS = 10_000
const EMPTY_SCANS = 2

/** Most are gone by then; from then on it is looked for. */
const SOON_MS = 20

/** Heard from Node as soon as the kernel tells; it gives up early, since what counts is looked at afterwards. */
async function untilExit(root: SpawnedRoot, limitMs: number): Promise<void> {
  if (root.hasEnded()) return
  await new Promise<void>((resolve) => {
    const limit = setTimeout(resolve, limitMs)
    root.onEnd(() => {
      clearTimeout(limit)
      resolve()
    })
  })
}

async function waitUntil(holds: () => boolean, deadline: number, what: string): Promise<void> {
  for (let pauseMs = 1; !holds(); pauseMs = Math.min(pauseMs * 2, 20)) {
    if (performance.now() > deadline)
      throw new Error(`Not everything of the run could be killed in ${KILL_DEADLINE_MS} ms: ${what}`)
    await delay(pauseMs)
  }
}

async function killNamespace(init: ProcessIdentity, root: SpawnedRoot, deadline: number): Promise<void> {
  if (isAlive(init)) signalProcess(init.pid, 'SIGKILL')
  root.kill()
  // The kernel lets PID 1 of a namespace become a zombie only after every other process in it is dead and reaped.
  await untilExit(root, SOON_MS)
  await waitUntil(() => !isAlive(init), deadline, `the namespace's process ${init.pid} is still alive.`)
  await waitUntil(() => root.hasEnded(), deadline, `process ${root.pid} is still alive.`)
}

async function killTree(run: RunProcesses, root: SpawnedRoot, deadline: number): Promise<void> {
  const known = new Map<string, ProcessIdentity>()
  const shootUntilEmpty = async (): Promise<void> => {
    for (let empty = 0; empty < EMPTY_SCANS;) {
      const targets = listRunProcesses(run, [...known.values()], await nextLook())
      // Remembered, because a process that loses its parent between two looks also leaves the tree.
      for (const target of targets) known.set(`${target.pid}@${target.startTime}`, target)
      for (const { pid } of targets) signalProcess(pid, 'SIGKILL')
      empty = targets.length === 0 ? empty + 1 : 0
      if (performance.now() > deadline) {
        throw new Error(
          `Not everything of the run could be killed in ${KILL_DEADLINE_MS} ms: ${targets.map(({ pid }) => pid).join(', ')}`,
        )
      }
    }
  }
  if (!hasProc() && !root.hasEnded()) signalGroup(run.program)
  // The reaper goes last: as long as it lives, orphans come to it and stay in the tree.
  await shootUntilEmpty()
  for (const identity of run.own) if (isAlive(identity)) signalProcess(identity.pid, 'SIGKILL')
  root.kill()
  await waitUntil(() => root.hasEnded(), deadline, `process ${root.pid} is still alive.`)
  await shootUntilEmpty()
}

function signalGroup(pgid: number): void {
  // Group 1 would be -1, which means everything.
  if (pgid <= 1) return
  try {
    process.kill(-pgid, 'SIGKILL')
  } catch {
    // The group is empty already.
  }
}

/** Resolves when it is proven that nothing of the run is alive; rejects after KILL_DEADLINE_MS. */
export async function killRun(run: RunProcesses, root: SpawnedRoot): Promise<void> {
  const deadline = performance.now() + KILL_DEADLINE_MS
  if (run.init === undefined) await killTree(run, root, deadline)
  else await killNamespace(run.init, root, deadline)
}

/** For a start that failed half-way: nothing of it has run the program, so all of it still carries the marker. */
export async function killStart(root: SpawnedRoot, marker: string): Promise<void> {
  const deadline = performance.now() + KILL_DEADLINE_MS
  for (let empty = 0; empty < EMPTY_SCANS;) {
    const targets = listProcesses().filter((entry) => isLiving(entry) && readMarker(entry.pid) === marker)
    for (const { pid } of targets) signalProcess(pid, 'SIGKILL')
    root.kill()
    empty = targets.length === 0 && root.hasEnded() ? empty + 1 : 0
    if (performance.now() > deadline)
      throw new Error(`A start that failed could not be removed in ${KILL_DEADLINE_MS} ms.`)
    await delay(1)
  }
}
