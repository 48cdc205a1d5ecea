import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'

import { within } from '../platform/abort-signals.js'
import { coverInherited, FIRST_INPUT } from './child-descriptors.js'
import { LAUNCHER_VARIABLE } from './mapped-launcher.js'
import { isAlive, readProcess } from './process-tree.js'
import { SPAWNER, SPAWNER_VARIABLE, spawnerCalls, toInput, toMessage } from './spawner-program.js'
import type { SpawnedRoot, Started, StartRequest } from './spawned-root.js'
import { SuperviseError } from './supervise-error.js'

const OPEN_DEADLINE_MS = 10_000
const START_DEADLINE_MS = 10_000
const LAST_WORDS_MS = 1_000
const TOKEN_BYTES = 16
/** What a connection begins with: the token of its start, and which descriptor it is. */
const HEAD_LENGTH = TOKEN_BYTES * 2 + 1

/** One that has been asked for. */
interface Start {
  readonly token: string
  readonly streams: Array<Socket | undefined>
  readonly listeners: Array<() => void>
  pid: number | undefined
  /** Told by the spawner, or seen after its own end. */
  hasEnded(): boolean
  ended: boolean
  settle(): void
  fail(why: string, cause?: unknown): void
}

function spawnProgram(perl: string, args: readonly string[]): ChildProcess {
  const child = spawn(perl, ['-e', `eval delete $ENV{${SPAWNER_VARIABLE}}; print STDERR $@; exit 125`, ...args], {
    cwd: '/',
    env: { [SPAWNER_VARIABLE]: SPAWNER },
    // Ctrl-C at the worker's terminal is the worker's to hear.
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', ...coverInherited()(4)],
  })
  return child.on('error', () => undefined)
}

/** The process and its socket, from its start to its end. */
export class SpawnerProcess {
  readonly #child: ChildProcess
  readonly #control: Duplex
  readonly #server: Server
  readonly #folder: string
  readonly #starts = new Map<string, Start>()
  readonly #byToken = new Map<string, Start>()
  readonly #opened: Promise<void>
  #count = 0
  #text = ''
  isLost = false

  constructor(child: ChildProcess, control: Duplex, server: Server, folder: string) {
    this.#child = child
    this.#control = control
    this.#server = server
    this.#folder = folder
    server.on('connection', (socket) => this.#greet(socket))
    // No descriptor was left for a connection; nobody knows whose it was.
    server.on('error', (error) => {
      for (const start of this.#byToken.values()) start.fail(error.message, error)
    })
    this.#opened = new Promise((resolve, reject) => {
      control.setEncoding('latin1').on('data', (chunk: string) => {
        const lines = (this.#text + chunk).split('\n')
        this.#text = lines.pop() ?? ''
        for (const line of lines)
          if (line === 'OPEN') resolve()
          else this.#read(line)
      })
      const lose = (): void => {
        this.#lose()
        reject(new Error('The spawner ended.'))
      }
      control.on('error', lose).on('close', lose)
      child.on('error', lose).on('exit', lose)
    })
  }

  static async open(perl: string): Promise<SpawnerProcess> {
    if (!spawnerCalls) throw new Error(`There is no spawner for ${process.arch}.`)
    const folder = await mkdtemp(join(tmpdir(), 'cc-executor-spawner-'))
    const server = createServer()
    let child: ChildProcess | undefined
    try {
      const path = join(folder, 'socket')
      await once(server.listen(path), 'listening')
      child = spawnProgram(perl, [...spawnerCalls, process.pid].map(String).concat(path))
      // Node says otherwise, but makes no pipes where no descriptor was left.
      const pipes: typeof child.stdio | undefined = child.stdio
      const control = pipes?.at(3)
      if (!(control instanceof Duplex)) throw new Error('The pipe to the spawner is missing.')
      const opened = new SpawnerProcess(child, control, server, folder)
      await within(OPEN_DEADLINE_MS, 'the start of the spawner', opened.#opened)
      return opened
    } catch (error) {
      child?.kill('SIGKILL')
      server.close()
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  async start({ cwd, env, way, inputs, command }: StartRequest): Promise<Started> {
    const id = String((this.#count += 1))
    const token = randomBytes(TOKEN_BYTES).toString('hex')
    const variables = Object.entries(env).filter(([name]) => way === 'exec' || name !== LAUNCHER_VARIABLE)
    const answer = new Promise<Started>((resolve, reject) => {
      const streams = Array.from<Socket | undefined>({ length: FIRST_INPUT })
      const start: Start = {
        token,
        streams,
        listeners: [],
        pid: undefined,
        ended: false,
        hasEnded: () => start.ended,
        settle: () => {
          const all = streams.filter((stream) => stream !== undefined)
          const { pid } = start
          if (pid === undefined || all.length < FIRST_INPUT) return
          this.#byToken.delete(token)
          resolve({ root: this.#toRoot(id, pid, start), streams: all })
        },
        fail: (why, cause) => {
          if (!this.#byToken.delete(token)) return
          for (const stream of streams) stream?.destroy()
          reject(new SuperviseError('SPAWN_FAILED', `${command[0] ?? ''} could not be started: ${why}`, { cause }))
        },
      }
      this.#starts.set(id, start)
      this.#byToken.set(token, start)
    })
    this.#control.write(
      toMessage([
        'start',
        id,
        token,
        cwd,
        way,
        `${variables.length} ${inputs.length}`,
        ...variables.map(([name, value]) => `${name}=${value}`),
        ...inputs.map(toInput),
        ...command,
      ]),
    )
    try {
      return await within(START_DEADLINE_MS, 'a start by the spawner', answer)
    } catch (error) {
      this.#starts.get(id)?.fail('it took too long')
      this.#kill(id)
      throw error
    }
  }

  async close(): Promise<void> {
    this.#control.end()
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined)
      await within(OPEN_DEADLINE_MS, 'the end of the spawner', once(this.#child, 'exit')).catch(() =>
        this.#child.kill('SIGKILL'),
      )
    this.#control.destroy()
    this.#server.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #toRoot(id: string, pid: number, start: Start): SpawnedRoot {
    return {
      pid,
      hasEnded: () => start.hasEnded(),
      kill: () => this.#kill(id),
      onEnd: (listener) => void start.listeners.push(listener),
    }
  }

  #kill(id: string): void {
    if (this.#control.writable) this.#control.write(toMessage(['kill', id]))
  }

  /** A connection says whose it is; nobody else knows a token. */
  #greet(socket: Socket): void {
    const read = (): void => {
      const head: unknown = socket.read(HEAD_LENGTH)
      if (head === null && !socket.readableEnded && !socket.destroyed) return
      socket.off('readable', read).off('error', drop).ref()
      const text = Buffer.isBuffer(head) ? head.toString('latin1') : ''
      const start = this.#byToken.get(text.slice(0, -1))
      const fd = Number(text.at(-1))
      if (!start || start.streams[fd] !== undefined || !(fd < FIRST_INPUT)) return void socket.destroy()
      start.streams[fd] = socket
      start.settle()
    }
    const drop = (): void => void socket.destroy()
    // One that says nothing keeps no worker from ending.
    socket.on('readable', read).on('error', drop).unref()
  }

  #read(line: string): void {
    const [word, id = '', ...rest] = line.split(' ')
    const start = this.#starts.get(id)
    if (!start) return
    if (word === 'PID') {
      start.pid = Number(rest[0])
      start.settle()
    } else if (word === 'FAILED') {
      this.#starts.delete(id)
      start.fail(rest.join(' '))
    } else if (word === 'EXIT') {
      this.#starts.delete(id)
      this.#end(start, 'it ended early')
    }
  }

  #end(start: Start, why: string): void {
    start.ended = true
    for (const listener of start.listeners.splice(0)) listener()
    // What it has said before its end may be on its way.
    if (this.#byToken.has(start.token)) setTimeout(() => start.fail(why), LAST_WORDS_MS).unref()
  }

  /** Nobody tells of its processes any more: they are looked at. */
  #lose(): void {
    this.isLost = true
    this.#server.close()
    for (const [id, start] of this.#starts) {
      this.#starts.delete(id)
      const identity = start.pid === undefined ? undefined : readProcess(start.pid)
      start.hasEnded = () => identity === undefined || !isAlive(identity)
      start.listeners.length = 0
      if (this.#byToken.has(start.token)) start.fail('the spawner ended')
    }
  }
}
