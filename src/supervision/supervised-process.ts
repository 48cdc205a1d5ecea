import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { Duplex } from 'node:stream'
import type { Readable, Writable } from 'node:stream'

import { openFolder, type OpenFolder } from '../platform/open-folder.js'
import { toContainedCommand, findContainmentPrograms } from './containment-command.js'
import type { ContainedCommand, Containment } from './containment-command.js'
import { findProgram, splitPath } from './find-program.js'
import { FIRST_INPUT, toStdio } from './child-descriptors.js'
import { killRun, killStart } from './kill-run.js'
import { watchLimits, type LimitWatch } from './watch-limits.js'
import type { ReachedLimit } from './run-cgroup.js'
import type { SpawnedRoot } from './kill-run.js'
import { createRunPause } from './pause-run.js'
import { MARKER_NAME } from './process-tree.js'
import { requireFolder } from './require-folder.js'
import { chooseUser } from './choose-user.js'
import { locateRun } from './run-processes.js'
import type { RunProcesses } from './run-processes.js'
import { viewOf, type View } from './sandbox-view.js'
import type { Sandbox, SandboxMeans } from './sandbox.js'
import { SuperviseError, toSpawnFailure, toStartFailure } from './supervise-error.js'
import { openWardenChannel } from './warden-channel.js'
import type { ExitReport, WardenChannel } from './warden-channel.js'
import { WARDEN, WARDEN_VARIABLE } from './warden.js'

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
  // Node makes every pipe of a child a socket.
  if (stream instanceof Duplex) return stream
  throw new Error('A pipe to the child is missing.')
}

function spawnContained(command: ContainedCommand, options: SuperviseOptions): Spawned {
  const inputs = command.inputs ?? []
  const child = spawn(command.file, command.args, {
    // A path that only exists inside (an exposed one under a hidden one) is entered by bwrap; here it exists as well.
    cwd: options.cwd,
    env: { ...options.env, ...command.variables, [MARKER_NAME]: options.marker, [WARDEN_VARIABLE]: WARDEN },
    // A session of its own: Ctrl-C at the worker's terminal is the worker's to hear, which then ends runs in order.
    // Nothing is left behind nevertheless, since the warden ends at the end of file on fd 3.
    detached: true,
    stdio: toStdio(inputs),
  })
  const failure = new Promise<Error | undefined>((resolve) => {
    child.once('error', resolve).once('close', () => resolve(undefined))
  })
  // Node says otherwise, but makes no pipes where no descriptor was left; the error follows.
  const pipes: typeof child.stdio | undefined = child.stdio
  if (pipes === undefined) throw new SuperviseError('SPAWN_FAILED', `${command.file}: Too many open files`)
  const [stdin, stdout, stderr, commands, reports, gate] = [0, 1, 2, 3, 4, 5].map((fd) => toPipe(pipes[fd]))
  if (!stdin || !stdout || !stderr || !commands || !reports || !gate) throw new Error('Six pipes were asked for.')
  for (const [index, input] of inputs.entries()) {
    if (typeof input === 'number') continue
    const pipe = toPipe(child.stdio.at(FIRST_INPUT + index))
    // A start that fails has its own words for it.
    pipe.on('error', () => undefined).resume()
    pipe.end(input, () => pipe.destroy())
  }
  // The end of the run shows in `exited`; a stream that breaks with it must not end the worker.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => undefined)
  return {
    root: child,
    stdin,
    stdout,
    stderr,
    channel: openWardenChannel(commands, reports, gate),
    failure,
  }
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
  const spawned = spawnContained(command, options)
  const rootPid = spawned.root.pid
  if (rootPid === undefined) {
    throw new SuperviseError('SPAWN_FAILED', `${command.file} could not be started.`, { cause: await spawned.failure })
  }
  const releaseStreams = [spawned.stdout, spawned.stderr].map(holdStream)
  try {
    const run = await waitForReady(
      spawned,
      (pids) => locateRun(rootPid, command.scope, options.marker, pids),
      options.readyTimeoutMs ?? DEFAULT_READY_TIMEOUT_MS,
    )
    const wentByDescriptor = sandboxed?.means.user === 'mapped' || sandboxed?.means.bindsDescriptors === true
    if (folder) await requireFolder(run.program, folder, wentByDescriptor)
    return superviseRun(spawned, run, watchLimits(sandboxed, run))
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
