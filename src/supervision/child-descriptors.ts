import { openSync, readdirSync, readFileSync } from 'node:fs'

import type { ContainedCommand } from './containment-command.js'

/** Below it are the program's three descriptors and the warden's. */
export const FIRST_INPUT = 6
const CLOSE_ON_EXEC = 0o2000000
let covers: ReadonlyMap<number, number> | undefined

/**
 * Descriptors that this process was started with and would pass on, each with what a child gets in its place:
 * /dev/null.
 * Node marks all of its own. A folder among them would lead a run out of its sandbox, whatever it sees by paths.
 */
export function coverInherited(): (from: number) => Array<'ignore' | number> {
  const known = (covers ??= new Map(listInherited().map((fd) => [fd, openSync('/dev/null', 'r')])))
  return (from) =>
    Array.from(
      { length: Math.max(from, ...[...known.keys()].map((fd) => fd + 1)) - from },
      (_, index) => known.get(from + index) ?? 'ignore',
    )
}

function listInherited(): number[] {
  try {
    return readdirSync('/proc/self/fdinfo')
      .map(Number)
      .filter((fd) => fd > 2 && isPassedOn(fd))
  } catch {
    return []
  }
}

function isPassedOn(fd: number): boolean {
  try {
    const [, flags = '0'] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? []
    return (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0
  } catch {
    return false // it was the one by which they were listed
  }
}

/** Six pipes, what bubblewrap reads, and nothing that the worker itself was started with. */
export function toStdio(inputs: NonNullable<ContainedCommand['inputs']>): Array<'pipe' | 'ignore' | number> {
  const own = [
    ...Array.from({ length: FIRST_INPUT }, () => 'pipe' as const),
    ...inputs.map((input) => (typeof input === 'number' ? input : ('pipe' as const))),
  ]
  return [...own, ...coverInherited()(own.length)]
}
