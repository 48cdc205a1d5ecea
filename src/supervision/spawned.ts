import { spawn, type ChildProcess } from 'node:child_process'
import { Duplex } from 'node:stream'

import { FIRST_INPUT, toStdio } from './child-descriptors.js'
import type { ContainedCommand } from './containment-command.js'
import { MARKER_NAME } from './process-tree.js'
import type { SpawnedRoot, Spawner } from './spawned-root.js'
import { SuperviseError } from './supervise-error.js'
import { openWardenChannel, type WardenChannel } from './warden-channel.js'
import { WARDEN, WARDEN_VARIABLE } from './warden.js'

/** What stands at the worker's end of a start. */
export interface Spawned {
  readonly root: SpawnedRoot
  readonly stdin: Duplex
  readonly stdout: Duplex
  readonly stderr: Duplex
  readonly channel: WardenChannel
}

export interface SpawnRequest {
  readonly command: ContainedCommand
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly marker: string
}

function toPipe(stream: unknown): Duplex {
  // Node makes every pipe of a child a socket.
  if (stream instanceof Duplex) return stream
  throw new Error('A pipe to the child is missing.')
}

function toSpawned(root: SpawnedRoot, pipes: readonly unknown[]): Spawned {
  const [stdin, stdout, stderr, commands, reports, gate] = [0, 1, 2, 3, 4, 5].map((fd) => toPipe(pipes[fd]))
  if (!stdin || !stdout || !stderr || !commands || !reports || !gate) throw new Error('Six pipes were asked for.')
  // The end of the run shows in `exited`; a stream that breaks with it must not end the worker.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => undefined)
  return { root, stdin, stdout, stderr, channel: openWardenChannel(commands, reports, gate) }
}

function toRoot(child: ChildProcess, pid: number): SpawnedRoot {
  return {
    pid,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    kill: () => void child.kill('SIGKILL'),
    onEnd: (listener) => void child.once('exit', listener),
  }
}

const toEnvironment = ({ command, env, marker }: SpawnRequest): Record<string, string> => ({
  ...env,
  ...command.variables,
  [MARKER_NAME]: marker,
  [WARDEN_VARIABLE]: WARDEN,
})

async function spawnHere(request: SpawnRequest): Promise<Spawned> {
  const { command, cwd } = request
  const inputs = command.inputs ?? []
  const child = spawn(command.file, command.args, {
    // A path that only exists inside (an exposed one under a hidden one) is entered by bwrap; here it exists as well.
    cwd,
    env: toEnvironment(request),
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
  for (const [index, input] of inputs.entries()) {
    if (typeof input === 'number') continue
    const pipe = toPipe(pipes.at(FIRST_INPUT + index))
    // A start that fails has its own words for it.
    pipe.on('error', () => undefined).resume()
    pipe.end(input, () => pipe.destroy())
  }
  if (child.pid === undefined) {
    throw new SuperviseError('SPAWN_FAILED', `${command.file} could not be started.`, { cause: await failure })
  }
  return toSpawned(toRoot(child, child.pid), pipes)
}

/** By the spawner, where there is one. */
export async function spawnContained(request: SpawnRequest, spawner: Spawner | undefined): Promise<Spawned> {
  const { command, cwd } = request
  const started = await spawner?.start({
    cwd,
    env: toEnvironment(request),
    way: command.launcherArgs ? 'launch' : 'exec',
    inputs: command.inputs ?? [],
    command: command.launcherArgs ?? [command.file, ...command.args],
  })
  return started ? toSpawned(started.root, started.streams) : spawnHere(request)
}
