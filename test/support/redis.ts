import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRedisServer, splitPath, type RedisServer } from '../../src/platform/redis-server.js'

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
