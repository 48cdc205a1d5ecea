// The worker's HEALTHCHECK: a worker has no port, but says every few seconds in Redis that it is there.
// It runs in the image only, beside dist.
import { hostname } from 'node:os'

/** @param {string} path */
const load = (path) => import(new URL(`../dist/src/${path}`, import.meta.url).href)

const [{ readConfig }, { closeRedis, openRedis }, { createLogger }, { createWorkerRegistry }] = await Promise.all([
  load('platform/config.js'),
  load('platform/redis.js'),
  load('platform/logger.js'),
  load('executions/store/worker-registry.js'),
])
const { redisUrl, redisAccess, prefix } = readConfig()
const redis = openRedis({ url: redisUrl, access: redisAccess, logger: createLogger('silent', 'check'), role: 'caller' })
try {
  const workers = await createWorkerRegistry(redis, prefix).list()
  // Every container has a host name of its own, and one worker.
  if (!workers.some(({ host }) => host === hostname()))
    throw new Error('this worker has not announced itself within 15 s')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  closeRedis(redis)
}
