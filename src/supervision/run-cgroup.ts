import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { RunLimits } from '../platform/run-limits.js'

/** Where control groups for runs can be made: one folder for both controllers, or with version 1 one for each. */
export interface CgroupPlace {
  readonly version: 1 | 2
  readonly pids: string
  readonly memory: string
}

/** All that can be seen from outside of a run. */
export const REACHED_LIMITS = ['processes', 'memory'] as const
export type ReachedLimit = (typeof REACHED_LIMITS)[number]

export interface RunCgroup {
  add(pid: number): Promise<void>
  /** Limits that were met until now. */
  reached(): ReachedLimit[]
  /** Once nothing is in it. */
  remove(): void
}

/** Never made: where there is no controller there is no such file, and in a folder that is no group it would stay. */
const write = (path: string, text: string): void => writeFileSync(path, text, { flag: 'r+' })

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/**
 * Folders for this process's own groups. In a container the path may be the host's, and its own group lies at the top.
 */
function listPlaces(): CgroupPlace[] {
  const groups = read('/proc/self/cgroup')
  const [, unified] = /^0::(.*)$/m.exec(groups) ?? []
  const pathOf = (controller: string): string | undefined =>
    new RegExp(String.raw`^\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(groups)?.[1]
  const [pids, memory] = [pathOf('pids'), pathOf('memory')]
  const places: CgroupPlace[] = []
  if (unified !== undefined) {
    for (const path of new Set([join('/sys/fs/cgroup', unified), '/sys/fs/cgroup']))
      places.push({ version: 2, pids: path, memory: path })
  }
  if (pids !== undefined && memory !== undefined) {
    places.push({ version: 1, pids: join('/sys/fs/cgroup/pids', pids), memory: join('/sys/fs/cgroup/memory', memory) })
    places.push({ version: 1, pids: '/sys/fs/cgroup/pids', memory: '/sys/fs/cgroup/memory' })
  }
  return places
}

const PREFIX = 'cc-executor-'

/**
 * Groups whose runs ended with their worker, or a moment too late for it. One that holds a process cannot be removed.
 */
function removeEmpty({ pids, memory }: CgroupPlace): void {
  for (const folder of new Set([pids, memory])) {
    try {
      for (const name of readdirSync(folder)) if (name.startsWith(PREFIX)) removeFolder(join(folder, name))
    } catch {
      // It is no group's folder.
    }
  }
}

function removeFolder(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }
}

/** The first place where a group can be made and its limits be set. */
export async function findCgroupPlace(): Promise<CgroupPlace | undefined> {
  for (const place of listPlaces()) {
    try {
      removeEmpty(place)
      const group = await openRunCgroup(place, `test-${process.pid}`, { processes: 100, memory: 1024 ** 3 })
      group.remove()
      return place
    } catch {
      // The next one may do.
    }
  }
  return undefined
}

const REMOVE_TRIES = 20
const REMOVE_PAUSE_MS = 50

const counted = (text: string, name: string): boolean =>
  Number(new RegExp(String.raw`^${name} (\d+)$`, 'm').exec(text)?.[1] ?? 0) > 0

/** @throws where it cannot be made or does not have the limit that is asked for */
export async function openRunCgroup(
  { version, pids, memory }: CgroupPlace,
  name: string,
  limits: RunLimits,
): Promise<RunCgroup> {
  const [pidsFolder, memoryFolder] = [join(pids, PREFIX + name), join(memory, PREFIX + name)]
  const folders = [...new Set([pidsFolder, memoryFolder])]
  // The kernel lets go of the last process a moment after it is gone; what is left then goes with the next start.
  const remove = (tries = REMOVE_TRIES): void => {
    const left = folders.filter((folder) => !removeFolder(folder))
    if (left.length > 0 && tries > 0) setTimeout(() => remove(tries - 1), REMOVE_PAUSE_MS).unref()
  }
  try {
    // Whoever makes a group waits for those who move a process.
    await Promise.all(folders.map((folder) => mkdir(folder)))
    if (limits.processes !== undefined) write(join(pidsFolder, 'pids.max'), String(limits.processes))
    if (limits.memory !== undefined) {
      write(join(memoryFolder, version === 2 ? 'memory.max' : 'memory.limit_in_bytes'), String(limits.memory))
      // Without it a run goes on in the swap of everybody.
      if (version === 2) writeIfThere(join(memoryFolder, 'memory.swap.max'), '0')
      else writeIfThere(join(memoryFolder, 'memory.memsw.limit_in_bytes'), String(limits.memory))
    }
  } catch (error) {
    remove()
    throw error
  }
  let last: ReachedLimit[] = []
  const readLimits = (): ReachedLimit[] => [
    ...(counted(read(join(pidsFolder, 'pids.events')), 'max') ? ['processes' as const] : []),
    ...(counted(read(join(memoryFolder, version === 2 ? 'memory.events' : 'memory.oom_control')), 'oom_kill')
      ? ['memory' as const]
      : []),
  ]
  return {
    // The kernel waits for all processors before it moves a process: 3 ms each, which nobody else should wait.
    add: async (pid) => {
      await Promise.all(folders.map((folder) => writeFile(join(folder, 'cgroup.procs'), String(pid), { flag: 'r+' })))
    },
    reached: () => [...new Set([...last, ...readLimits()])],
    remove: () => {
      last = readLimits()
      remove()
    },
  }
}

function writeIfThere(path: string, text: string): void {
  try {
    write(path, text)
  } catch {
    // Not every kernel counts swap.
  }
}
