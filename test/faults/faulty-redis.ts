import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { makeFolder, type Teardown } from '../support/processes.js'
import { testEnvironment } from '../support/environment.js'
import { FIXTURES } from '../support/paths.js'
import { withParent } from '../support/with-parent.js'
import { eventually, once, until } from '../support/deadlines.js'

/** A Redis with its append-only file, to be killed, frozen, filled, and to come back. */
export interface FaultyRedis {
  readonly socket: string
  /** For a look at the keys, and for its settings; connects when it is needed. */
  readonly admin: Redis
  /** Resolves when it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<unknown>
  start(): Promise<void>
  freeze(): void
  thaw(): void
  /** From now on also at a port of this host: a replica comes by no socket. */
  listen(): Promise<number>
  /** Its clock says so many seconds more than it is, from now on; only where a `clock` was given. */
  setClock(secondsAhead: number): void
}

/** What makes a clock that can be set; undefined where there is no C compiler. */
export async function buildClock(t: Teardown): Promise<string | undefined> {
  const library = join(await makeFolder(t), 'shift-clock.so')
  const { status } = spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, join(FIXTURES, 'shift-clock.c')], {
    stdio: 'inherit',
  })
  return status === 0 ? library : undefined
}

export async function openFaultyRedis(t: Teardown, clock?: string): Promise<FaultyRedis> {
  const folder = await makeFolder(t)
  const socket = join(folder, 'redis.sock')
  const binary = await findExecutable(['redis-server', 'valkey-server'], splitPath(testEnvironment(folder)['PATH']))
  if (binary === undefined) throw new Error('no redis-server was found')
  const shift = join(folder, 'shift')
  const setClock = (secondsAhead: number): void => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(secondsAhead))
    // In place: the server has mapped it.
    writeFileSync(shift, bytes, { flag: existsSync(shift) ? 'r+' : 'w' })
  }
  setClock(0)
  let server: ChildProcess
  let exited: Promise<unknown>

  async function start(): Promise<void> {
    const [file, ...args] = withParent([
      binary ?? '',
      '--port',
      '0',
      '--unixsocket',
      socket,
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'yes',
      '--maxmemory-policy',
      'noeviction',
    ])
    const started = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...(clock !== undefined && { LD_PRELOAD: clock, CLOCK_SHIFT_FILE: shift }) },
    })
    server = started
    exited = eventually(started, 'exit')
    let said = ''
    started.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await until(() => said.includes('eady to accept connections'), 'Redis is ready')
  }
  await start()
  t.teardown(async () => {
    server.kill('SIGKILL')
    await exited
  })
  const admin = new Redis({ path: socket, lazyConnect: true, maxRetriesPerRequest: null })
  admin.on('error', () => undefined)
  t.teardown(() => Promise.resolve(admin.disconnect()))
  return {
    socket,
    admin,
    start,
    end(signal) {
      server.kill('SIGCONT')
      server.kill(signal)
      return exited
    },
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    async listen() {
      const probe = createServer().listen(0, '127.0.0.1')
      await once(probe, 'listening')
      // Safe: it listens on a port.
      const { port } = probe.address() as AddressInfo
      probe.close()
      await once(probe, 'close')
      await admin.config('SET', 'port', port)
      return port
    },
    setClock,
  }
}
