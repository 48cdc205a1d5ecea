import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A process as /proc tells it. `startTime` (clock ticks since boot) makes the pid unmistakable. */
export interface ProcessEntry {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly state: string
  readonly startTime: string
  readonly threads?: number
}

/** What is enough to find a process again without mistaking a recycled pid for it. */
export type ProcessIdentity = Pick<ProcessEntry, 'pid' | 'startTime'>

export const MARKER_NAME = 'CC_EXECUTOR_ATTEMPT'

// Reads are synchronous on purpose: /proc answers from memory, and a scan that yields in its middle sees two
// different moments and misses a process which moved between them.
function readProc(path: string): string | undefined {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    let text = ''
    for (;;) {
      const length = readSync(fd, chunk, 0, chunk.length, null)
      // Less than was asked for may be a page of it: the end alone says that it was all.
      if (length === 0) return text
      text += chunk.toString('latin1', 0, length)
    }
  } catch {
    // A process may end, or belong to somebody else, at any time: both mean that it is not ours to look at.
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Reads follow each other by the hundred: one memory for all of them. */
const chunk = Buffer.alloc(16 * 1024)

export function hasProc(): boolean {
  return readProc('/proc/self/stat') !== undefined
}

export function readProcess(pid: number): ProcessEntry | undefined {
  const text = readProc(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The name may hold blanks and brackets, so the fields are counted from the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, ppid, pgid] = fields
  const startTime = fields[19]
  if (state === undefined || ppid === undefined || pgid === undefined || startTime === undefined) return undefined
  return { pid, ppid: Number(ppid), pgid: Number(pgid), state, startTime, threads: Number(fields[17]) }
}

function listNumbers(path: string): number[] {
  try {
    return readdirSync(path)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

export function listProcesses(): ProcessEntry[] {
  return listNumbers('/proc').flatMap((pid) => readProcess(pid) ?? [])
}

const LOOK_AFTER_MS = 1
let coming: Promise<readonly ProcessEntry[]> | undefined

/**
 * A look at the process table that begins a moment after this call. Whoever asks until then gets the same: many runs
 * that end at once cost one look, not one each.
 */
export function nextLook(): Promise<readonly ProcessEntry[]> {
  return (coming ??= delay(LOOK_AFTER_MS).then(() => {
    coming = undefined
    return listProcesses()
  }))
}

/** A zombie is dead, unless only its first thread has ended and others still run. */
export function isLiving(entry: ProcessEntry): boolean {
  if (entry.state === 'X') return false
  return entry.state !== 'Z' || listNumbers(`/proc/${entry.pid}/task`).length > 1
}

export function findAgain(identity: ProcessIdentity): ProcessEntry | undefined {
  const entry = readProcess(identity.pid)
  return entry?.startTime === identity.startTime ? entry : undefined
}

export function isAlive(identity: ProcessIdentity): boolean {
  const entry = findAgain(identity)
  return entry !== undefined && isLiving(entry)
}

/** All descendants of the given roots in one picture of the process table, without the roots themselves. */
export function descendantsOf(roots: Iterable<number>, processes: readonly ProcessEntry[]): ProcessEntry[] {
  const children = new Map<number, ProcessEntry[]>()
  for (const entry of processes) {
    const siblings = children.get(entry.ppid)
    if (siblings === undefined) children.set(entry.ppid, [entry])
    else siblings.push(entry)
  }
  const seen = new Set(roots)
  const found: ProcessEntry[] = []
  const pending = [...seen]
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (seen.has(child.pid)) continue
      seen.add(child.pid)
      found.push(child)
      pending.push(child.pid)
    }
  }
  return found
}

/** Direct children without reading the whole table; undefined where the kernel does not offer it. */
export function childrenOf(pid: number): number[] | undefined {
  let known: number[] | undefined
  for (const task of listNumbers(`/proc/${pid}/task`)) {
    const text = readProc(`/proc/${pid}/task/${task}/children`)
    if (text !== undefined) known = [...(known ?? []), ...text.split(' ').filter(Boolean).map(Number)]
  }
  return known
}

/** The pid that a process has in its innermost PID namespace. */
export function readInnerPid(pid: number): number | undefined {
  const inner = readProc(`/proc/${pid}/status`)?.match(/^NSpid:.*?(\d+)$/m)?.[1]
  return inner === undefined ? undefined : Number(inner)
}

export function readMarker(pid: number | 'self'): string | undefined {
  const prefix = `${MARKER_NAME}=`
  return readProc(`/proc/${pid}/environ`)
    ?.split('\0')
    .find((entry) => entry.startsWith(prefix))
    ?.slice(prefix.length)
}

const markers = new WeakMap<ProcessEntry, string | undefined>()

/** As it was at the first question after this look. */
export function markerOf(entry: ProcessEntry): string | undefined {
  if (!markers.has(entry)) markers.set(entry, readMarker(entry.pid))
  return markers.get(entry)
}

/** True when the signal was handed over; false when the process is gone or not ours. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  // 0, -1 and other negative numbers mean whole groups, or everything on the machine.
  if (!Number.isSafeInteger(pid) || pid <= 1) return false
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
