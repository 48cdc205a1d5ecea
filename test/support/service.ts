import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openApi, type Api } from '../../src/main/api.js'
import { openWorker, type WorkerProcess } from '../../src/main/worker.js'
import { readConfig, type Config } from '../../src/platform/config.js'
import { openRedisServer, splitPath, type RedisServer } from '../../src/platform/redis-server.js'
import type { Execution } from '../../src/protocol/execution.js'
import { openSimulator, type Simulator } from '../../src/simulator/simulator.js'
import { testEnvironment } from './environment.js'
import { openWaiters, type Waiters } from './waiters.js'
import { DEADLINE_MS } from './deadlines.js'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Parsed where it is JSON; tests know what they asked for. */
  readonly body: ReturnType<typeof JSON.parse>
}

export interface TestService extends Waiters {
  readonly directory: string
  readonly redis: RedisServer
  readonly simulator: Simulator
  readonly apis: Api[]
  readonly workers: WorkerProcess[]
  readonly token: string
  readonly config: Config
  readonly environment: NodeJS.ProcessEnv
  url(index?: number): string
  openApi(overrides?: NodeJS.ProcessEnv): Promise<Api>
  openWorker(overrides?: NodeJS.ProcessEnv): Promise<WorkerProcess>
  call(
    method: string,
    path: string,
    options?: {
      body?: unknown
      headers?: Record<string, string>
      api?: number
      raw?: string | Buffer
      signal?: AbortSignal
    },
  ): Promise<Answer>
  submit(body: Record<string, unknown>, headers?: Record<string, string>): Promise<Execution>
}

export interface TestServiceOptions {
  readonly apis?: number
  readonly workers?: number
  readonly env?: NodeJS.ProcessEnv
  readonly durable?: boolean
  /** What Redis holds before anything of the service is there. */
  readonly prepare?: (redis: RedisServer) => Promise<void>
}

type Teardown = { teardown(fn: () => Promise<void>): void }

/**
 * APIs and workers in this process, on a private Redis, with the real CLI and the simulator; all gone with the test.
 */
export async function openTestService(
  t: Teardown,
  { apis = 1, workers = 1, env = {}, durable = false, prepare }: TestServiceOptions = {},
): Promise<TestService> {
  const directory = await mkdtemp(join(tmpdir(), 'cce-'))
  const redis = await openRedisServer({
    directory: join(directory, 'redis'),
    searchPath: splitPath(testEnvironment(directory)['PATH']),
    durable,
  })
  const simulator = await openSimulator()
  const environment: NodeJS.ProcessEnv = {
    ...testEnvironment(directory),
    // It is there: what it needs for an answer is the machine's affair.
    CC_EXECUTOR_REDIS_WAIT_SECONDS: '60',
    CC_EXECUTOR_SIMULATOR_URL: simulator.url,
    ...env,
  }
  const service = { apis: [] as Api[], workers: [] as WorkerProcess[] }
  t.teardown(async () => {
    await Promise.all(service.workers.map((worker) => worker.close()))
    await Promise.all(service.apis.map((api) => api.close()))
    await simulator.close()
    await redis.close()
    await rm(directory, { recursive: true, force: true })
  })
  const open = {
    async openApi(overrides: NodeJS.ProcessEnv = {}): Promise<Api> {
      const api = await openApi(readConfig({ ...environment, ...overrides }), redis.url)
      service.apis.push(api)
      return api
    },
    async openWorker(overrides: NodeJS.ProcessEnv = {}): Promise<WorkerProcess> {
      const worker = await openWorker(readConfig({ ...environment, ...overrides }), redis.url)
      service.workers.push(worker)
      return worker
    },
  }
  await prepare?.(redis)
  const config = readConfig(environment)
  for (let count = 0; count < apis; count += 1) await open.openApi()
  await Promise.all(Array.from({ length: workers }, () => open.openWorker()))
  const token =
    config.auth === 'open' ? '' : config.tokens === undefined ? (await readFile(config.tokenFile, 'utf8')).trim() : ''

  const url = (index = 0): string => {
    const api = service.apis[index]
    if (!api) throw new Error(`there is no API ${index}`)
    return api.url
  }
  const call: TestService['call'] = async (
    method,
    path,
    { body, headers = {}, api = 0, raw, signal = AbortSignal.timeout(DEADLINE_MS) } = {},
  ) => {
    const response = await fetch(url(api) + path, {
      method,
      headers: {
        ...(token !== '' && { authorization: `Bearer ${token}` }),
        ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(raw !== undefined && { body: raw }),
      signal,
    })
    const text = await response.text()
    const isJson =
      /json/.test(response.headers.get('content-type') ?? '') &&
      !/ndjson/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
  }
  return {
    directory,
    redis,
    simulator,
    token,
    config,
    environment,
    url,
    call,
    ...openWaiters(call),
    ...service,
    ...open,
    async submit(body, headers = {}) {
      const answer = await call('POST', '/execute', { body, headers })
      if (answer.status !== 202 && answer.status !== 200)
        throw new Error(`not accepted: ${answer.status} ${answer.text}`)
      return answer.body
    },
  }
}
