import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRedisServer, splitPath, type RedisServer } from '../../src/platform/redis-server.js'
import { once } from './deadlines.js'

export interface TestRedis {
  readonly url: string
  readonly server: RedisServer
  readonly directory: string
}

/** A private Redis on a unix socket, gone with the test that asked for it. */
export async function openTestRedis(
  t: { teardown(fn: () => Promise<void>): void },
  options: { durable?: boolean } = {},
): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'cce-redis-'))
  const server = await openRedisServer({
    directory,
    searchPath: splitPath(process.env['PATH']),
    durable: options.durable ?? false,
  })
  t.teardown(async () => {
    await server.close()
    await rm(directory, { recursive: true, force: true })
  })
  return { url: server.url, server, directory }
}

/** A port that was free a moment ago; somebody else's by now, it is tried with another one. */
export async function listenOn(listen: (port: number) => Promise<unknown>): Promise<number> {
  let failure: unknown
  for (let tries = 0; tries < 20; tries += 1) {
    const probe = createServer().listen(0, '127.0.0.1')
    await once(probe, 'listening')
    const { port } = probe.address() as AddressInfo
    probe.close()
    await once(probe, 'close')
    try {
      await listen(port)
      return port
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
