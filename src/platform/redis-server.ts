import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { connect } from 'node:net'
import { access, constants, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { sleep, within } from './abort-signals.js'
import { makeFolder } from './make-folder.js'

export interface RedisServer {
  /** `unix:///…` */
  readonly url: string
  readonly pid: number
  /** However it ended. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

export interface RedisServerSettings {
  /** Its folder: socket, append-only file. */
  readonly directory: string
  /** Where to look for the binary, in this order. */
  readonly searchPath: readonly string[]
  /** false: nothing is kept on disk. */
  readonly durable?: boolean
  /** How long a predecessor in the same folder may take to end; default 0. */
  readonly waitMs?: number
}

const START_DEADLINE_MS = 10_000
const STOP_DEADLINE_MS = 10_000
const PREDECESSOR_LOOK_MS = 50
/** A unix socket's path must fit in sockaddr_un (108 bytes, less a margin). */
export const SOCKET_PATH_LIMIT = 100

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

/** The first executable of one of these names in one of these folders. */
export async function findExecutable(
  names: readonly string[],
  searchPath: readonly string[],
): Promise<string | undefined> {
  for (const directory of searchPath) {
    for (const name of names) {
      const path = join(directory, name)
      if (await isExecutable(path)) return path
    }
  }
  return undefined
}

export const splitPath = (path: string | undefined): string[] =>
  (path ?? '').split(delimiter).filter((part) => part !== '')

/**
 * The shell in front of Redis waits on a pipe that only this process holds: when this process ends, however it ends,
 * the pipe closes and Redis is told to stop. A session of its own keeps Ctrl-C in the terminal away from both.
 */
const KEEPER = `
"$@" </dev/null &
server=$!
trap 'kill -TERM $server' TERM INT
( read -r _ ; kill -TERM $server ) <&3 >/dev/null 2>&1 &
exec 3<&-
wait $server
while kill -0 $server 2>/dev/null; do wait $server; done
`

const isAnswered = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(socket)
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', () => resolve(false))
  })

/** Starts a private Redis on a unix socket and waits until it accepts connections. */
export async function openRedisServer({
  directory,
  searchPath,
  durable = true,
  waitMs = 0,
}: RedisServerSettings): Promise<RedisServer> {
  const binary = await findExecutable(['redis-server', 'valkey-server'], searchPath)
  if (binary === undefined) {
    throw new Error(
      'No redis-server was found: install redis-server or valkey-server, run npm run setup, or set REDIS_URL to a running Redis.',
    )
  }
  await makeFolder(directory, 0o700).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `The private Redis has no folder: ${directory} cannot be made (${error.code ?? error.message}); ` +
        'make it writable or choose another CC_EXECUTOR_DATA_DIR.',
    )
  })
  const socket = join(directory, 'redis.sock')
  if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT) {
    throw new Error(
      `The path of the data folder is too long for a socket (${socket}); set CC_EXECUTOR_DATA_DIR to a shorter one.`,
    )
  }
  const deadline = performance.now() + waitMs
  while (await isAnswered(socket)) {
    if (performance.now() < deadline) {
      await sleep(PREDECESSOR_LOOK_MS)
      continue
    }
    throw new Error(
      `Another cc-executor is running on this data folder (${directory}); stop it, or set CC_EXECUTOR_DATA_DIR to another folder.`,
    )
  }
  await rm(socket, { force: true })
  const options = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--unixsocketperm',
    '700',
    '--dir',
    directory,
    '--maxmemory-policy',
    'noeviction',
    '--save',
    '',
    '--appendonly',
    durable ? 'yes' : 'no',
    '--appendfsync',
    'everysec',
    // Values of a record up to this length lie one behind the other, which takes a third less; receipts have some 5 KB.
    // (The name that Redis 6.2 knows as well.)
    '--hash-max-ziplist-value',
    '8192',
    '--daemonize',
    'no',
    '--logfile',
    '',
  ]
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'cc-executor-redis', binary, ...options], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    env: { PATH: '/usr/bin:/bin' },
  })
  const exited = once(keeper, 'exit')
  const lastLines: string[] = []
  const output = keeper.stdout
  if (!output || keeper.pid === undefined) throw new Error('The private Redis could not be started.')
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: output }).on('line', (line) => {
      lastLines.push(line)
      if (lastLines.length > 5) lastLines.shift()
      if (/[Rr]eady to accept connections/.test(line)) resolve()
    })
  })
  const failed = exited.then(() => {
    throw new Error(`The private Redis ended at its start: ${lastLines.join(' / ') || 'it said nothing'}`)
  })
  let closing: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    keeper.stdio[3]?.destroy()
    await within(STOP_DEADLINE_MS, 'stopping the private Redis', exited)
    await rm(socket, { force: true })
  }
  const close = (): Promise<void> => (closing ??= stop())
  try {
    await within(START_DEADLINE_MS, 'starting the private Redis', Promise.race([ready, failed]))
  } catch (error) {
    await close().catch(() => undefined)
    throw error
  }
  failed.catch(() => undefined)
  return { url: `unix://${socket}`, pid: keeper.pid, ended: exited.then(() => undefined), close }
}
