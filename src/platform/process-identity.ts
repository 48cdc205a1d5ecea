import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const PS_DEADLINE_MS = 5_000

/**
 * When a process began, in the words of its system; undefined: there is none. With its pid it is unmistakable: pids are
 * used again.
 */
export function readProcessStart(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      // The name may hold blanks and brackets, so the fields are counted from the last bracket.
      const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z' || state === 'X' ? undefined : fields[18]
    }
    return (
      execFileSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        timeout: PS_DEADLINE_MS,
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim() || undefined
    )
  } catch {
    return undefined
  }
}
