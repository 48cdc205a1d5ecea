// Processes of the service as a user starts them: `node dist/src/main/cli.js …`, watched from outside.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { within } from '../../src/platform/abort-signals.js'
import {
  descendantsOf,
  isAlive,
  isLiving,
  listProcesses,
  readProcess,
  type ProcessEntry,
} from '../../src/supervision/process-tree.js'
import { CLI } from './paths.js'
import { withParent } from './with-parent.js'
import { DEADLINE_MS, eventually, once, until } from './deadlines.js'

export type Teardown = { teardown(fn: () => Promise<void>): void }

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly afterMs: number
}

export interface CliProcess {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
  /** Nobody holds its stdout and stderr any more: all that was said is known. */
  readonly drained: Promise<unknown>
  /** Resolves with the match once it is on stdout or stderr; rejects when the process ends without it. */
  said(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  /** As a terminal does with Ctrl-C. */
  killGroup(signal: NodeJS.Signals): void
}

/**
 * A folder in tmp with a name that nothing else on the machine has; gone with the test, and whatever still refers to it
 * is told.
 */
export async function makeFolder(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cce-e2e-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * Starts the CLI in a process group of its own, by `command` where it is not plain node. What the test has not ended is
 * killed at its end, with all its descendants.
 */
export function startCli(
  t: Teardown,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd = '/',
  command: readonly string[] = [process.execPath],
): CliProcess {
  if (!existsSync(CLI)) throw new Error('dist is missing: npm test builds it, or npx tsc -p tsconfig.build.json')
  return spawnWatched(t, [...command, CLI, ...args], env, cwd, args.join(' '))
}

/** The same with any program. */
export function spawnWatched(
  t: Teardown,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  what = command.join(' '),
): CliProcess {
  const [file, ...args] = withParent(command)
  const startedAt = performance.now()
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command[0]} could not be started`)
  const texts = { stdout: '', stderr: '' }
  const listeners = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] += chunk
      if (process.env['TEST_SHOW_OUTPUT']) process.stderr.write(chunk)
      for (const listener of listeners) listener()
    })
  }
  // exit, not close: the pipes may be held by a process that outlives this one, which is what the tests look for.
  const ended = eventually(child, 'exit').then(([code, signal]): Ended => ({
    code,
    signal,
    afterMs: performance.now() - startedAt,
  }))
  const drained = eventually(child, 'close')
  t.teardown(async () => {
    await endWithDescendants(child)
    child.stdout.destroy()
    child.stderr.destroy()
  })
  return {
    pid,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    get ended() {
      return within(DEADLINE_MS, `the end of ${what}`, ended)
    },
    get drained() {
      return within(DEADLINE_MS, `the output of ${what}`, drained)
    },
    async said(pattern) {
      let found = pattern.exec(texts.stdout + texts.stderr)
      let isOver = false
      const listener = (): void => void (found ??= pattern.exec(texts.stdout + texts.stderr))
      listeners.add(listener)
      void drained.then(() => (isOver = true))
      try {
        await until(() => found !== null || isOver, `${what} says ${String(pattern)}`)
      } finally {
        listeners.delete(listener)
      }
      if (!found) throw new Error(`${what} ended without ${String(pattern)}: ${texts.stdout}${texts.stderr}`)
      return found
    },
    kill: (signal) => void child.kill(signal),
    killGroup: (signal) => void process.kill(-pid, signal),
  }
}

async function endWithDescendants(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const everything = treeOf(child.pid)
  const exited = once(child, 'exit')
  for (const { pid } of everything) tryKill(pid)
  await exited
}

export function tryKill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (pid === 0) throw new Error('there is no such process; 0 is the group of this one, tap included')
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

/** A process and all its descendants, as they are now. */
export function treeOf(pid: number): ProcessEntry[] {
  const processes = listProcesses()
  return [...processes.filter((entry) => entry.pid === pid), ...descendantsOf([pid], processes)]
}

const read = (pid: number, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

export const commandLineOf = (pid: number): string => read(pid, 'cmdline')

/** Living processes, other than this one, whose command line or environment holds the text. */
export function listMentioning(text: string, where: 'cmdline' | 'anywhere' = 'anywhere'): ProcessEntry[] {
  // Asked again and again: of all the others no more is read than that they do not.
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    if (!commandLineOf(pid).includes(text) && (where === 'cmdline' || !read(pid, 'environ').includes(text))) return []
    const entry = readProcess(pid)
    return entry !== undefined && isLiving(entry) ? [entry] : []
  })
}

export const describe = (entries: readonly ProcessEntry[]): string[] => [
  ...new Set(entries.map(({ pid, state }) => `${pid} ${state} ${commandLineOf(pid).slice(0, 120)}`)),
]

export const livingOf = (entries: readonly ProcessEntry[]): ProcessEntry[] => entries.filter(isAlive)
