import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { RunLimits } from '../platform/run-limits.js'

/** Where control groups for runs can be made: one folder for both controllers, or with version 1 one for each. */
export interface CgroupPlace {
  readonly version: 1 | 2
  readonly pids: string
  readonly memory: string
}

export type ReachedLimit = 'processes' | 'memory'

export interface RunCgroup {
  add(pid: number): void
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

/** Folders for this process's own groups. In a container the path may be the host's, and its own group lies at the top. */
function listPlaces(): CgroupPlace[] {
  const groups = read('/proc/self/cgroup')
  const [, unified] = /^0::(.*)$/m.exec(groups) ?? []
  const pathOf = (controller: string): string | undefined => new RegExp(String.raw`^\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(groups)?.[1]
  const [pids, memory] = [pathOf('pids'), pathOf('memory')]
  const places: CgroupPlace[] = []
  if (unified !== undefined) {
    for (const path of new Set([join('/sys/fs/cgroup', unified), '/sys/fs/cgroup'])) places.push({ version: 2, pids: path, memory: path })
  }
  if (pids !== undefined && memory !== undefined) {
    places.push({ version: 1, pids: join('/sys/fs/cgroup/pids', pids), memory: join('/sys/fs/cgroup/memory', memory) })
    places.push({ version: 1, pids: '/sys/fs/cgroup/pids', memory: '/sys/fs/cgroup/memory' })
  }
  return places
}

/** The first place where a group can be made and its limits be set. */
export function findCgroupPlace(): CgroupPlace | undefined {
  return listPlaces().find((place) => {
    try {
      openRunCgroup(place, `cc-executor-test-${process.pid}`, { processes: 100, memory: 1024 ** 3 }).remove()
      return true
    } catch {
      return false
    }
  })
}

const counted = (text: string, name: string): boolean => Number(new RegExp(String.raw`^${name} (\d+)$`, 'm').exec(text)?.[1] ?? 0) > 0

/** @throws where it cannot be made or does not have the limit that is asked for */
export function openRunCgroup({ version, pids, memory }: CgroupPlace, name: string, limits: RunLimits): RunCgroup {
  const folders = [...new Set([join(pids, name), join(memory, name)])]
  const [pidsFolder, memoryFolder] = [join(pids, name), join(memory, name)]
  const remove = (): void => {
    for (const folder of folders) {
      try {
        rmdirSync(folder)
      } catch {
        // Never made; or something in it is not gone, and whoever finds that says so.
      }
    }
  }
  try {
    for (const folder of folders) mkdirSync(folder)
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
  const look = (): ReachedLimit[] => [
    ...(counted(read(join(pidsFolder, 'pids.events')), 'max') ? ['processes' as const] : []),
    ...(counted(read(join(memoryFolder, version === 2 ? 'memory.events' : 'memory.oom_control')), 'oom_kill') ? ['memory' as const] : []),
  ]
  return {
    add: (pid) => {
      for (const folder of folders) write(join(folder, 'cgroup.procs'), String(pid))
    },
    reached: () => [...new Set([...last, ...look()])],
    remove: () => {
      last = look()
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
