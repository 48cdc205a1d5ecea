import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'

import { openFolder, type OpenFolder } from '../platform/open-folder.js'
import { toContainedCommand, findContainmentPrograms } from './containment-command.js'
import type { Containment } from './containment-command.js'
import { findProgram, splitPath } from './find-program.js'
import { killRun, killStart } from './kill-run.js'
import { watchLimits, type LimitWatch } from './watch-limits.js'
import type { ReachedLimit } from './run-cgroup.js'
import { createRunPause } from './pause-run.js'
import { requireFolder } from './require-folder.js'
import { chooseUser } from './choose-user.js'
import { locateRun } from './run-processes.js'
import type { RunProcesses } from './run-processes.js'
import { viewOf, type View } from './sandbox-view.js'
import type { Sandbox, SandboxMeans } from './sandbox.js'
import { spawnContained, type Spawned } from './spawned.js'
import { SuperviseError, toSpawnFailure, toStartFailure } from './supervise-error.js'
import type { ExitReport, WardenChannel } from './warden-channel.js'

export type { OpenFolder } from '../platform/open-folder.js'
export type { ExitReport } from './warden-channel.js'

export interface SuperviseOptions {
  readonly containment: Containment
  /** An absolute path, a path relative to cwd, or a name that is looked for on env.PATH. */
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  /** The same, opened: the program is let go only in this folder, whatever the path leads to by now. */
  readonly folder?: OpenFolder | undefined
  /** The whole environment of the program; only the marker is added. */
  readonly env: Readonly<Record<string, string>>
  readonly marker: string
  /** Directories and files that the run must not see. Only bubblewrap can do that; what does not exist is skipped. */
  readonly hiddenPaths?: readonly string[]
  /** Directories below hidden ones which stay visible and writable. */
  readonly exposedPaths?: readonly string[]
  /** Directories and files that the run must not write; those that are not in view stay so. As hiddenPaths. */
  readonly protectedPaths?: readonly string[]
  /** A level above `host`, in place of these paths; the containment must have it. */
  readonly sandbox?: Sandbox
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
  /** Limits of its sandbox that it has met until now; told as long as somebody asks. */
  limitsReached(): ReachedLimit[]
  /** The program's own end; SIGKILL when it was killed together with its warden. Never rejects. */
  readonly exited: Promise<ExitReport>
  /** Resolves when it is proven that nothing of the run is alive; rejects after 10 s. */
  killAll(): Promise<void>
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

/**
 * Node starts a stream at the child's end that nobody reads yet, and what came would be lost; a reader holds it back.
 */
function holdStream(stream: Readable): () => void {
  const hold = (): number => stream.readableLength
  stream.on('readable', hold)
  return () => void stream.off('readable', hold)
}

async function waitForReady(
  spawned: Spawned,
  run: (pids: Awaited<WardenChannel['ready']>) => RunProcesses,
  timeoutMs: number,
): Promise<RunProcesses> {
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

function superviseRun(spawned: Spawned, run: RunProcesses, watch: LimitWatch): SupervisedProcess {
  const { channel, root, stdin, stdout, stderr } = spawned
  const runPause = createRunPause(run)
  let killing: Promise<void> | undefined
  return {
    pid: run.program,
    pgid: run.program, // the warden's job control makes the program the leader of its group
    stdin,
    stdout,
    stderr,
    release: () => channel.release(),
    heartbeat: () => channel.beat(),
    terminate: () => channel.terminate(),
    pause: () => runPause.pause(),
    resume: () => runPause.resume(),
    exited: channel.exited,
    limitsReached: () => watch.reached(),
    killAll: () => (killing ??= killRun(run, root).finally(() => watch.close())),
  }
}

interface Opened {
  readonly cwd: string
  readonly folder: OpenFolder | undefined
  readonly sandboxed?: {
    readonly sandbox: Sandbox
    readonly means: SandboxMeans
    readonly view: View
    readonly workspaceFd: number
  }
  close(): Promise<void>
}

/** The working directory is opened once, and what is opened is what the run gets. */
async function openWorkspace({ cwd, folder, sandbox, containment }: SuperviseOptions): Promise<Opened> {
  await checkDirectory(cwd)
  if (sandbox === undefined) return { cwd, folder, close: async () => undefined }
  const means = containment.sandbox
  if (means?.levels.includes(sandbox.level) !== true)
    throw new SuperviseError('SPAWN_FAILED', `There is no sandbox of the level ${sandbox.level} here.`)
  const opened = folder ?? (await openOwn(cwd))
  const view = viewOf(opened.path, sandbox)
  const user = await chooseUser(means, view.owned)
  return {
    cwd: opened.path,
    folder: opened,
    sandboxed: { sandbox, means: { ...means, user }, view, workspaceFd: opened.fd },
    close: async () => {
      // Of a caller's it is the caller's.
      if (opened !== folder) await opened.close()
    },
  }
}

async function openOwn(cwd: string): Promise<OpenFolder> {
  const path = await realpath(cwd)
  return openFolder(path).catch((cause: unknown) => {
    throw new SuperviseError('BAD_CWD', `The directory ${cwd} cannot be opened.`, { cause })
  })
}

/** What the run does not see it cannot start: there the next one on PATH is meant. */
async function findFile({ file, env, cwd }: SuperviseOptions, view: View | undefined): Promise<string> {
  const directories = splitPath(env['PATH'])
  const found = await findProgram(
    file,
    view === undefined ? directories : directories.filter((directory) => view.has(directory)),
    cwd,
  )
  if (found === undefined || view?.has(found) === false) {
    throw new SuperviseError('ENOENT_FILE', `The program ${file} was not found, or cannot be executed.`)
  }
  // A link may lie where the run has nothing to see; what it leads to is what was given.
  return view === undefined ? found : realpath(found)
}

/**
 * Starts a program behind a gate: it has a pid but does not run before release(). Rejects with a SuperviseError and
 * leaves nothing behind when the program, the directory or the containment cannot be used.
 */
export async function startSupervised(options: SuperviseOptions): Promise<SupervisedProcess> {
  try {
    const opened = await openWorkspace(options)
    try {
      return await startIn(opened, options)
    } finally {
      await opened.close()
    }
  } catch (error) {
    throw toStartFailure(error)
  }
}

async function startIn({ cwd, folder, sandboxed }: Opened, options: SuperviseOptions): Promise<SupervisedProcess> {
  const file = await findFile(options, sandboxed?.view)
  const programs = options.containment.programs ?? (await findContainmentPrograms(splitPath(process.env['PATH'])))
  const command = toContainedCommand({
    programs,
    level: options.containment.level,
    file,
    args: options.args,
    cwd,
    env: options.env,
    hiddenPaths: options.hiddenPaths ?? [],
    exposedPaths: options.exposedPaths ?? [],
    protectedPaths: options.protectedPaths ?? [],
    heartbeatTimeoutMs: options.heartbeatTimeoutMs,
    sandboxed,
  })
  const { env, marker, containment } = options
  const spawned = await spawnContained({ command, cwd: options.cwd, env, marker }, containment.spawner)
  const rootPid = spawned.root.pid
  const releaseStreams = [spawned.stdout, spawned.stderr].map(holdStream)
  try {
    const run = await waitForReady(
      spawned,
      (pids) => locateRun(rootPid, command.scope, options.marker, pids),
      options.readyTimeoutMs ?? DEFAULT_READY_TIMEOUT_MS,
    )
    const wentByDescriptor = sandboxed?.means.user === 'mapped' || sandboxed?.means.bindsDescriptors === true
    const watching = watchLimits(sandboxed, run)
    try {
      if (folder) await requireFolder(run.program, folder, wentByDescriptor)
      return superviseRun(spawned, run, await watching)
    } catch (error) {
      ;(await watching).close()
      throw error
    }
  } catch (cause) {
    const said = String(spawned.stderr.read() ?? '')
      .trim()
      .slice(0, 2000)
    spawned.channel.close()
    await killStart(spawned.root, options.marker)
    throw toSpawnFailure(cause, said)
  } finally {
    for (const release of releaseStreams) release()
  }
}
