// One table of operations: no way in lacks one, has another, or asks for another scope.
import t from 'tap'
import { WebSocket } from 'ws'
import type { ExecutionServices } from '../../src/executions/services.js'
import { buildApp } from '../../src/main/build-app.js'
import { buildDocuments } from '../../src/main/build-documents.js'
import { readConfig } from '../../src/platform/config.js'
import { createLogger } from '../../src/platform/logger.js'
import type { TokenEntry } from '../../src/platform/tokens.js'
import { ExecutorError } from '../../src/protocol/errors.js'
import { definedFields } from '../../src/protocol/defined-fields.js'
import { OPERATIONS, RPC_METHODS, type Operation, type OperationName } from '../../src/protocol/operations.js'
import { TOOLS } from '../../src/protocol/tools.js'
import { REST_OPERATIONS } from '../started/rest-cases.js'
import { RPC_METHODS as RPC_CASES } from '../started/rpc-cases.js'

/** Every route of the table: its name in the OpenAPI document, and its operation. */
const routes = Object.entries<Operation>(OPERATIONS).flatMap(([name, { scope, rest }]) =>
  Object.entries(rest?.paths ?? {}).map(([path, operationId]) => ({
    name,
    scope,
    isOpen: rest?.open ?? false,
    method: rest?.method ?? 'GET',
    url: path.replaceAll(/:\w+/g, 'x').replace('*', 'y'),
    path,
    documented: `${rest?.method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{path}')}`,
    operationId,
  })),
)
const sorted = (names: Iterable<string>): string[] => [...names].sort()

void t.test('the documents have the operations of the table, no more and no fewer', async (t) => {
  const documents = await buildDocuments()
  const { paths } = documents['openapi.json'] as {
    paths: Record<string, Record<string, { operationId: string; security?: unknown }>>
  }
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => `${method} ${path} ${operationId}`),
  )
  t.same(sorted(documented), sorted(routes.map((route) => `${route.documented} ${route.operationId}`)))
  const { methods } = documents['rpc.schema.json'] as { methods: ReadonlyArray<{ name: string }> }
  t.same(
    methods.map(({ name }) => name),
    RPC_METHODS,
  )
  for (const [name, { rpc, rest }] of Object.entries<Operation>(OPERATIONS)) t.ok(rpc ?? rest, `${name} can be reached`)
})

void t.test('the scopes are those that the walk through all answers expects', (t) => {
  t.same(
    Object.fromEntries(routes.map(({ documented, scope }) => [documented, scope])),
    Object.fromEntries(Object.entries(REST_OPERATIONS).map(([name, { scope }]) => [name, scope])),
  )
  t.same(
    Object.fromEntries(RPC_METHODS.map((name) => [name, OPERATIONS[name].scope])),
    Object.fromEntries(Object.entries(RPC_CASES).map(([name, { scope }]) => [name, scope])),
  )
  t.end()
})

/** A service without a store: what a token may not do is refused before anything is looked for. */
async function listen(): Promise<{ address: string; printed: string }> {
  const entry = (name: 'read' | 'execute'): TokenEntry => ({
    id: name,
    name,
    scopes: new Set([name]),
    sha256: Buffer.from(''),
  })
  const find = (token: string): TokenEntry | undefined =>
    token === 'read' || token === 'execute' ? entry(token) : undefined
  const off = { figures: undefined, tracing: undefined }
  const refuse = async (): Promise<never> => Promise.reject(new ExecutorError('STORE_UNAVAILABLE'))
  const config = readConfig({ LOG_LEVEL: 'silent' })
  const known = { config, logger: createLogger('silent', 'test'), outlook: refuse, ...off }
  const absent = new Proxy({}, { get: (_target, name) => (name === 'then' ? undefined : refuse) })
  const services = new Proxy<object>(known, {
    get: (target, name) => (Reflect.has(target, name) ? Reflect.get(target, name) : absent),
  })
  const app = await buildApp({
    // Safe: what is not there refuses every call.
    services: services as ExecutionServices,
    tokens: { find, findById: () => undefined, shown: [], created: false, inFile: false },
    webhooks: {
      webhooks: { store: absent, guard: absent, maxWebhooks: 1, maxPending: 1 } as never,
      look: () => undefined,
    },
    checkRedis: async () => undefined,
  })
  t.teardown(() => app.close())
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return { address, printed: app.printRoutes({ commonPrefix: false }) }
}

/** `GET executions:id`: what Fastify prints as a tree, without the slashes, which it sets differently. */
function pathsOf(printed: string): string[] {
  const above: string[] = []
  return printed.split('\n').flatMap((line) => {
    const [, indent = '', part = '', methods = ''] = /^([│├└─ ]+)(\S+)(?: \(([\w, ]+)\))?$/.exec(line) ?? []
    if (part === '') return []
    const depth = indent.length / 4
    above.length = depth
    above[depth - 1] = part
    const path = above.join('').replaceAll('/', '')
    const named = methods.split(', ').filter((method) => method !== '' && method !== 'HEAD')
    return named.map((method) => `${method} ${path}`)
  })
}

void t.test('each way in asks for the scope of the table', async (t) => {
  const { address, printed } = await listen()
  const known = new Set(routes.map(({ method, path }) => `${method} ${path.replaceAll('/', '')}`))
  const others = pathsOf(printed).filter((one) => !known.has(one) && !/^GET (?:docs|$)/.test(one))
  t.same(
    others.sort(),
    ['GET console', 'GET console*', 'GET openapi.json', 'GET ws', 'GET wsmcp', 'POST mcp'],
    'no door that the table does not know',
  )
  for (const { method, url, scope, isOpen, documented } of routes) {
    const ask = async (token?: string): Promise<number> => {
      const headers = definedFields({ authorization: token && `Bearer ${token}` })
      const answer = await fetch(address + url, { method, headers })
      await answer.arrayBuffer()
      return answer.status
    }
    if (isOpen) t.not(await ask(), 401, documented)
    else {
      const other = scope === 'read' ? 'execute' : 'read'
      const statuses = [await ask(), await ask(other)]
      t.same(statuses, [401, 403], documented)
      t.notOk([401, 403].includes(await ask(scope)), documented)
    }
  }
  for (const token of ['read', 'execute']) {
    const socket = new WebSocket(`${address.replace('http', 'ws')}/ws`, ['cc-executor', `bearer.${token}`])
    const answers = new Promise<ReadonlyArray<{ id: OperationName; error?: { data: { code: string } } }>>(
      (resolve, reject) => {
        socket.on('error', reject)
        socket.on('message', (data) => {
          // Safe: the answer to the batch, which is all that is sent.
          resolve(JSON.parse((data as Buffer).toString('utf8')) as Awaited<typeof answers>)
        })
      },
    )
    // Params that no method takes: the scope is asked for before.
    socket.on('open', () =>
      socket.send(
        JSON.stringify(RPC_METHODS.map((method) => ({ jsonrpc: '2.0', id: method, method, params: { wrong: 1 } }))),
      ),
    )
    const codes = Object.fromEntries((await answers).map(({ id, error }) => [id, error?.data.code]))
    t.same(
      codes,
      Object.fromEntries(
        RPC_METHODS.map((name) => [name, OPERATIONS[name].scope === token ? 'INVALID_REQUEST' : 'FORBIDDEN']),
      ),
      token,
    )
    socket.terminate()
  }
})

void t.test('a tool that only reads stands on an operation that only reads', (t) => {
  const written = Object.entries(TOOLS).filter(([, { operation }]) => OPERATIONS[operation].scope !== 'read')
  t.same(
    written.map(([name]) => name),
    ['execute', 'cancel_execution', 'send_message', 'decide_approval'],
  )
  t.end()
})
