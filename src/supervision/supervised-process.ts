import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { Duplex } from 'node:stream'
import type { Readable, Writable } from 'node:stream'

import { execa } from 'execa'

import { toContainedCommand, findContainmentPrograms } from './containment-command.js'
import type { ContainedCommand, Containment } from './containment-command.js'
import { findProgram, splitPath } from './find-program.js'
import { killRun, killStart } from './kill-run.js'
import type { SpawnedRoot } from './kill-run.js'
import { createRunPause } from './pause-run.js'
import { MARKER_NAME } from './process-tree.js'
import { locateRun } from './run-processes.js'
import type { RunProcesses } from './run-processes.js'
import { SuperviseError, toSpawnFailure } from './supervise-error.js'
import { openWardenChannel } from './warden-channel.js'
import type { ExitReport, WardenChannel } from './warden-channel.js'
import { WARDEN, WARDEN_VARIABLE } from './warden.js'

export type { ExitReport } from './warden-channel.js'

export interface SuperviseOptions {
  readonly containment: Containment
  /** An absolute path, a path relative to cwd, or a name that is looked for on env.PATH. */
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  /** The whole environment of the program; only the marker is added. */
  readonly env: Readonly<Record<string, string>>
  readonly marker: string
  /** Directories and files that the run must not see. Only bubblewrap can do that; what does not exist is skipped. */
  readonly hiddenPaths?: readonly string[]
  /** Directories below hidden ones which stay visible and writable. */
  readonly exposedPaths?: readonly string[]
  readonly readyTimeoutMs?: number
  readonly heartbeatTimeoutMs: number
}

export interface SupervisedProcess {
  /** Of the program, as the host sees it; known before release(). */
  readonly pid: number
  readonly pgid: number
  readonly stdin: Writable
  /** Attach readers before release(): Node throws away what nobody reads once the process has ended. */
  readonly stdout: Readable
  readonly stderr: Readable
  release(): void
  heartbeat(): void
  /** SIGTERM to the program itself, not to its descendants. */
  terminate(): void
  pause(): Promise<void>
  resume(): Promise<void>
  /** The program's own end; SIGKILL when it was killed together with its warden. Never rejects. */
  readonly exited: Promise<ExitReport>
  /** Resolves when it is proven that nothing of the run is alive; rejects after 10 s. */
  killAll(): Promise<void>
}

interface Spawned {
  readonly root: SpawnedRoot
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly channel: WardenChannel
  /** The reason when nothing could be spawned at all. */
  readonly failure: Promise<Error | undefined>
}

const DEFAULT_READY_TIMEOUT_MS = 10_000

async function checkDirectory(cwd: string): Promise<void> {
  try {
    if ((await stat(cwd)).isDirectory()) return await access(cwd, constants.X_OK)
  } catch (cause) {
    throw new SuperviseError('BAD_CWD', `The directory ${cwd} cannot be entered.`, { cause })
  }
  throw new SuperviseError('BAD_CWD', `${cwd} is not a directory.`)
}

function toPipe(stream: unknown): Duplex {
  // Node makes every pipe of a child a socket, and execa gives dummies of the same kind when nothing was spawned.
  if (stream instanceof Duplex) return stream
  throw new Error('A pipe to the child is missing.')
}

function spawnContained(command: ContainedCommand, options: SuperviseOptions): Spawned {
  const subprocess = execa(command.file, command.args, {
    // A path that only exists inside (an exposed one under a hidden one) is entered by bwrap; here it exists as well.
    cwd: options.cwd,
    env: { ...options.env, [MARKER_NAME]: options.marker, [WARDEN_VARIABLE]: WARDEN },
    extendEnv: false, buffer: false, reject: false, encoding: 'buffer',
    // A session of its own: Ctrl-C at the worker's terminal is the worker's to hear, which then ends runs in order.
    // Nothing is left behind nevertheless, since the warden ends at the end of file on fd 3.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const [stdin, stdout, stderr, commands, reports, gate] = subprocess.stdio.map(toPipe)
  if (!stdin || !stdout || !stderr || !commands || !reports || !gate) throw new Error('Six pipes were asked for.')
  // The end of the run shows in `exited`; a stream that breaks with it must not end the worker.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => undefined)
  return {
    root: subprocess, stdin, stdout, stderr, channel: openWardenChannel(commands, reports, gate),
    failure: subprocess.then((result) => result.cause instanceof Error ? result.cause : undefined, (error: Error) => error),
  }
}

/** execa starts a stream that nobody reads yet, and what came until then would be lost; a reader holds it back. */
function holdStream(stream: Readable): () => void {
  const hold = (): number => stream.readableLength
  stream.on('readable', hold)
  return () => void stream.off('readable', hold)
}

async function waitForReady(spawned: Spawned, run: (pids: Awaited<WardenChannel['ready']>) => RunProcesses, timeoutMs: number): Promise<RunProcesses> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`The warden was not ready within ${timeoutMs} ms.`)), timeoutMs)
  })
  try {
    return run(await Promise.race([spawned.channel.ready, late]))
  } finally {
    clearTimeout(timer)
  }
}

function superviseRun(spawned: Spawned, run: RunProcesses): SupervisedProcess {
  const { channel, root, stdin, stdout, stderr } = spawned
  const runPause = createRunPause(run)
  let killing: Promise<void> | undefined
  return {
    pid: run.program,
    pgid: run.program, // the warden's job control makes the program the leader of its group
    stdin, stdout, stderr,
    release: () => channel.release(),
    heartbeat: () => channel.beat(),
    terminate: () => channel.terminate(),
    pause: () => runPause.pause(),
    resume: () => runPause.resume(),
    exited: channel.exited,
    killAll: () => killing ??= killRun(run, root),
  }
}

/**
 * Starts a program behind a gate: it has a pid but does not run before release(). Rejects with a SuperviseError and
 * leaves nothing behind when the program, the directory or the containment cannot be used.
 */
export async function startSupervised(options: SuperviseOptions): Promise<SupervisedProcess> {
  await checkDirectory(options.cwd)
  const file = await findProgram(options.file, splitPath(options.env['PATH']), options.cwd)
  if (file === undefined) {
    throw new SuperviseError('ENOENT_FILE', `The program ${options.file} was not found, or cannot be executed.`)
  }
  const programs = options.containment.programs ?? await findContainmentPrograms(splitPath(process.env['PATH']))
  const command = toContainedCommand({
    programs, level: options.containment.level, file, args: options.args, cwd: options.cwd, env: options.env,
    hiddenPaths: options.hiddenPaths ?? [], exposedPaths: options.exposedPaths ?? [],
    heartbeatTimeoutMs: options.heartbeatTimeoutMs,
  })
  const spawned = spawnContained(command, options)
  const rootPid = spawned.root.pid
  if (rootPid === undefined) {
    throw new SuperviseError('SPAWN_FAILED', `${command.file} could not be started.`, { cause: await spawned.failure })
  }
  const releaseStreams = [spawned.stdout, spawned.stderr].map(holdStream)
  try {
    const run = await waitForReady(
      spawned, (pids) => locateRun(rootPid, command.scope, options.marker, pids),
      options.readyTimeoutMs ?? DEFAULT_READY_TIMEOUT_MS,
    )
    return superviseRun(spawned, run)
  } catch (cause) {
    const said = String(spawned.stderr.read() ?? '').trim().slice(0, 2000)
    spawned.channel.close()
    await killStart(spawned.root, options.marker)
    throw toSpawnFailure(cause, said)
  } finally {
    for (const release of releaseStreams) release()
  }
}
