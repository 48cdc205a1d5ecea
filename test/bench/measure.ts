import { readdir, readFile } from 'node:fs/promises'

export interface Sample {
  readonly wallMs: number
}

const TICK_MS = 10

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** CPU in ms that the service below this process has used: its Node processes and its Redis, not what they run. */
export async function cpuOf(root: number): Promise<number> {
  const parents = new Map<number, { parent: number; ticks: number; name: string }>()
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'latin1').catch(() => '')
    const name = /\((.*)\)/.exec(stat)?.[1] ?? ''
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    parents.set(Number(entry), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]), name })
  }
  const isBelow = (pid: number): boolean => {
    const entry = parents.get(pid)
    return entry !== undefined && (entry.parent === root || isBelow(entry.parent))
  }
  let ticks = 0
  for (const [pid, { ticks: own, name }] of parents)
    if (isBelow(pid) && /^(node|redis-server|valkey-server|MainThread)/.test(name)) ticks += own
  return ticks * TICK_MS
}
