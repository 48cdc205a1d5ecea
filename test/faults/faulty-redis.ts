import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { makeFolder, until, type Teardown } from '../support/processes.js'
import { testEnvironment } from '../support/environment.js'

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
}

export async function openFaultyRedis(t: Teardown): Promise<FaultyRedis> {
  const folder = await makeFolder(t)
  const socket = join(folder, 'redis.sock')
  const binary = await findExecutable(['redis-server', 'valkey-server'], splitPath(testEnvironment(folder)['PATH']))
  if (binary === undefined) throw new Error('no redis-server was found')
  let server: ChildProcess
  let exited: Promise<unknown>

  async function start(): Promise<void> {
    const started = spawn(binary ?? '', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction'], { stdio: ['ignore', 'pipe', 'inherit'] })
    server = started
    exited = once(started, 'exit')
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
  }
}
