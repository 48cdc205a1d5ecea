import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import type { GitChild, GitCommand } from './run-git.js'

/** Ends a group of processes; that it has ended already is no failure. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}

/**
 * Starts git where no run is being supervised, as for a command line: as the leader of a group of its own, which ends
 * with the call. Only for what the worker itself has written, since git sees here whatever the service sees.
 */
export async function startPlain({ file, args, cwd, env }: GitCommand): Promise<GitChild> {
  // The system's words for a folder that is gone are those for a program that is.
  await access(cwd)
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  // Before it is awaited: an early end would not be seen.
  const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
  // Rejects with what the system says where it cannot be started.
  await once(child, 'spawn')
  const { pid, stdin, stdout, stderr } = child
  return {
    stdin,
    stdout,
    stderr,
    exited,
    release: () => undefined,
    async killAll() {
      if (pid !== undefined) killGroup(pid)
      await exited
    },
  }
}
