// Host × Origin × scope × owner, for every route and every method that there is: a new one is in this table by itself,
// and fails it where it needs a word here.
import { Agent, request, type IncomingMessage } from 'node:http'
import t from 'tap'
import { WebSocket } from 'ws'
import type * as z from 'zod'
import type { Scope } from '../../src/protocol/caller.js'
import { OPERATIONS, RPC_METHODS, type Operation } from '../../src/protocol/operations.js'
import { SCOPES } from '../../src/protocol/tokens.js'
import { TOOLS } from '../../src/protocol/tools.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { openRest, TOKENS, upgrade } from './scene.js'
import { once, until } from '../support/deadlines.js'

const { service, call, submit, finished } = await openRest(t)
const base = service.url()
const { host: ownHost } = new URL(base)
const agent = new Agent({ keepAlive: true, maxSockets: 8 })
t.teardown(async () => agent.destroy())

const own = (await submit({ prompt: 'own' })).id
await finished(own)
const foreign: string = (await call('POST', '/execute', { as: 'bob', body: { prompt: 'foreign' } })).body.id

interface Route {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly operation: Operation
}
const routes: Route[] = Object.values<Operation>(OPERATIONS).flatMap((operation) =>
  Object.keys(operation.rest?.paths ?? {}).map((path) => ({
    name: `${operation.rest?.method} ${path}`,
    method: operation.rest?.method ?? '',
    path,
    operation,
  })),
)

/** Not in the document: each of its tools asks for the scope of its own operation, below. */
const MCP = { name: 'POST /mcp', method: 'POST', path: '/mcp' }
const doors: ReadonlyArray<Omit<Route, 'operation'> & { readonly operation?: Operation }> = [...routes, MCP]

/** Whose is what an id in a path names: how to name what is another token's, and what is then answered. */
const OWNERS: Readonly<
  Record<string, { readonly foreign: string; readonly code: string } | 'everybody with the scope'>
> = {
  '/executions/:id': { foreign, code: 'EXECUTION_NOT_FOUND' },
  '/workspaces/admissions/:id': { foreign: 'of-another', code: 'WORKSPACE_NOT_FOUND' },
  '/approvals/:id': { foreign: 'of-another', code: 'APPROVAL_NOT_FOUND' },
  // Its own tests look at another token's: here every scope includes the one that sees all.
  '/schedules/:id': { foreign: 'of-another', code: 'SCHEDULE_NOT_FOUND' },
  '/tokens/:id': 'everybody with the scope',
  '/webhooks/:id': { foreign: 'of-another', code: 'WEBHOOK_NOT_FOUND' },
}
const ownerOf = (path: string) => Object.entries(OWNERS).find(([prefix]) => path.startsWith(prefix))?.[1]

const fill = (path: string, id: string): string =>
  path.replace(':id', id).replace(':deliveryId', id).replace('*', 'file')

async function make(body: Record<string, unknown>): Promise<{ id?: string; secret: string }> {
  return (await call('POST', '/tokens', { body: { name: 'made', ...body } })).body
}

const tokens = Object.fromEntries(
  await Promise.all(SCOPES.map(async (scope) => [scope, (await make({ scopes: [scope] })).secret] as const)),
) as Record<Scope, string>
const watching = (await make({ scopes: ['read', 'approve'], executionId: own })).secret
const revoked = await make({ scopes: ['admin'] })
await call('DELETE', `/tokens/${revoked.id}`)
// Refused where it has expired before it is made.
const expired = await withLongerClocks(0.3, async (seconds) => {
  const made = await make({ scopes: ['admin'], expiresAt: new Date(Date.now() + seconds * 1_000).toISOString() })
  return made.id === undefined ? undefined : { ...made, id: made.id }
})
await until(async () => (await call('GET', `/tokens/${expired.id}`)).body.status === 'expired', 'it has expired')

/** Node's client says it of itself, but not of a DELETE. */
const lengthOf = (body: string | undefined): Record<string, string> =>
  body === undefined ? {} : { 'content-length': String(body.length) }

async function ask(
  { method, path }: Pick<Route, 'method' | 'path'>,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; code: string | undefined }> {
  const sent = request(base + path, { method, headers: { host: ownHost, ...lengthOf(body), ...headers }, agent })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  const isProblem = response.headers['content-type']?.startsWith('application/problem+json') ?? false
  return { status: response.statusCode ?? 0, code: isProblem ? JSON.parse(text).code : undefined }
}

/** What an operation must be given besides an id, before anybody looks whose that is. */
function needed({ rpc }: Operation): Record<string, unknown> {
  const id = 'approvalId' in shapeOf(rpc?.params) ? { approvalId: own } : { executionId: own }
  return NEEDS.find((need) => rpc?.params.safeParse({ ...id, ...need }).success) ?? {}
}
const NEEDS = [{}, { maxBudgetTokens: 1 }, { text: 'x' }, { decision: 'deny' }]

/** Past the door, but no further: a body that nothing can read is refused before anything is done. */
const knock = (route: Pick<Route, 'method' | 'path'>, headers: Record<string, string>) =>
  route.method === 'GET'
    ? ask({ ...route, path: fill(route.path, own) }, headers)
    : ask({ ...route, path: fill(route.path, own) }, { ...headers, 'content-type': 'application/json' }, '{"a":')

const CALLERS: ReadonlyArray<{ who: string; token?: string; scopes?: readonly Scope[]; isBound?: true }> = [
  { who: 'nobody' },
  { who: 'a wrong token', token: 'wrong-0123456789abcdef' },
  { who: 'a wrong secret of a token', token: watching.replace(/.{5}$/, '_____') },
  { who: 'a revoked token', token: revoked.secret },
  { who: 'an expired token', token: expired.secret },
  ...SCOPES.map((scope) => ({
    who: `scope ${scope}`,
    token: tokens[scope],
    scopes: scope === 'admin' ? SCOPES : [scope],
  })),
  { who: 'a configured reader', token: TOKENS.reader, scopes: ['read'] },
  { who: 'a token of one execution', token: watching, scopes: ['read', 'approve'], isBound: true },
]
// Other forms of either: test/routes/service.test.ts.
const HOSTS = [ownHost, `evil.example:${new URL(base).port}`]
const ORIGINS = [undefined, 'https://console.example', 'https://evil.example']
const ANY_HOST = new Set(['/health', '/health/live', '/health/ready'])

const IS_ALL = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
/** A Host or an Origin that is refused is so for everybody, which all of them prove in test:all only. */
const callersFrom = (host: string, origin: string | undefined): typeof CALLERS =>
  IS_ALL || (host === ownHost && origin === undefined) ? CALLERS : CALLERS.filter(({ scopes }) => scopes === SCOPES)

/** What must come of it, by the table of operations alone. */
function expected(
  { path, operation }: (typeof doors)[number],
  host: string,
  origin: string | undefined,
  { scopes, isBound }: (typeof CALLERS)[number],
): string {
  if (host !== ownHost && !ANY_HOST.has(path)) return 'MISDIRECTED_REQUEST'
  if (origin === 'https://evil.example') return 'FORBIDDEN'
  if (operation?.rest?.open) return 'open'
  if (!scopes) return 'UNAUTHENTICATED'
  if (!operation) return 'open'
  return scopes.includes(operation.scope) && (!isBound || operation.forOneExecution) ? 'open' : 'FORBIDDEN'
}
const DOORS = ['MISDIRECTED_REQUEST', 'UNAUTHENTICATED', 'FORBIDDEN']

void t.test('every route of the application is in the table', async (t) => {
  const { paths } = (await call('GET', '/openapi.json')).body as { paths: Record<string, object> }
  const known = new Set(routes.map(({ path }) => path.replace(/:(\w+)/g, '{$1}').replace('*', '{path}')))
  t.same(new Set(Object.keys(paths)), known)
  const lost = routes.filter(({ path }) => /[:*]/.test(path) && ownerOf(path) === undefined)
  t.same(
    lost.map(({ name }) => name),
    [],
    'and it is said whose its ids are',
  )
})

void t.test('Host, Origin and scope, each with each, on every route', { timeout: 600_000 }, async (t) => {
  for (const route of doors) {
    const wrong: string[] = []
    const asked = HOSTS.flatMap((host) =>
      ORIGINS.flatMap((origin) =>
        callersFrom(host, origin).map(async (caller) => {
          const { code, status } = await knock(route, {
            host,
            ...(origin !== undefined && { origin }),
            ...(caller.token !== undefined && { authorization: `Bearer ${caller.token}` }),
          })
          const found = code !== undefined && DOORS.includes(code) ? code : 'open'
          const wanted = expected(route, host, origin, caller)
          if (found !== wanted)
            wrong.push(`${caller.who}, Host ${host}, Origin ${origin}: ${found} (${status}), not ${wanted}`)
        }),
      ),
    )
    await Promise.all(asked)
    t.same(wrong, [], `${route.name}: ${asked.length} ways to ask`)
  }
})

void t.test('what is another token’s is not there, on every route', async (t) => {
  for (const route of routes) {
    const owner = ownerOf(route.path)
    if (owner === undefined || owner === 'everybody with the scope') continue
    const path = fill(route.path, owner.foreign)
    for (const [who, token] of [
      ['with every scope', TOKENS.alice],
      ['a token of one execution', watching],
    ] as const) {
      const fields = needed(route.operation)
      const hasBody = Object.keys(fields).length > 0 || route.method === 'PATCH'
      const body = hasBody ? JSON.stringify(fields) : undefined
      const headers = {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      }
      const { code } = await ask({ ...route, path }, headers, body)
      const isRefused = token === watching && !route.operation.forOneExecution
      t.equal(code, isRefused ? 'FORBIDDEN' : owner.code, `${route.name}, ${who}`)
    }
    // An approval has another id than its execution.
    if (!route.operation.forOneExecution || owner.foreign !== foreign) continue
    const { code } = await ask({ ...route, path: fill(route.path, own) }, { authorization: `Bearer ${watching}` })
    t.not(code, owner.code, `${route.name}: its own is there`)
  }
})

void t.test('where a body or a query names an execution, it must be one’s own', async (t) => {
  const named: Readonly<Record<string, { path?: string; body?: Record<string, unknown> }>> = {
    'POST /tokens': { body: { name: 'x', scopes: ['read'], executionId: foreign } },
    'POST /tickets': { body: { executionId: foreign } },
    'GET /executions': { path: `/executions?parentId=${foreign}` },
    'GET /approvals': { path: `/approvals?executionId=${foreign}` },
  }
  const naming = routes.filter(({ operation: { rest } }) =>
    /executionId|parentId/.test(
      Object.keys({ ...shapeOf(rest?.input?.body), ...shapeOf(rest?.input?.querystring) }).join(),
    ),
  )
  t.same(
    new Set(naming.map(({ name }) => name)),
    new Set(Object.keys(named)),
    'each route that takes one has a case here',
  )
  for (const { name, method, path } of naming) {
    const { body, path: asked = path } = named[name] ?? {}
    const answer = await call(method, asked, body === undefined ? {} : { body })
    // Who has the admin scope sees the approvals of all.
    if (name === 'GET /approvals') t.match(answer, { status: 200, body: { approvals: [] } }, name)
    else t.match(answer.body, { status: 404, code: 'EXECUTION_NOT_FOUND' }, name)
  }
})

/** The fields of a schema of an object, whatever is wrapped around it. */
function shapeOf(schema: unknown): object {
  // Safe: looked at, and nothing else; what zod calls its parts is checked by the test that uses it.
  const { shape, def } = (schema ?? {}) as { shape?: object; def?: { innerType?: unknown; in?: unknown } }
  return shape ?? ((def?.innerType ?? def?.in) ? shapeOf(def.innerType ?? def.in) : {})
}

void t.test('every method of the socket: scope and owner', async (t) => {
  for (const { who, token, scopes, isBound } of CALLERS) {
    if (token === undefined || !scopes) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
      for (const path of ['/ws', '/ws/mcp']) t.equal(await upgrade(base, path, headers), 401, `${who} ${path}`)
      continue
    }
    const socket = new WebSocket(`${base.replace('http', 'ws')}/ws`, ['cc-executor', `bearer.${token}`])
    await once(socket, 'open')
    const answered = once(socket, 'message')
    const params = (method: string): object =>
      'executionId' in shapeOf(operationOf(method).rpc?.params)
        ? { executionId: foreign, ...needed(operationOf(method)) }
        : { wrong: 1 }
    socket.send(
      JSON.stringify(RPC_METHODS.map((method) => ({ jsonrpc: '2.0', id: method, method, params: params(method) }))),
    )
    const [data] = (await answered) as [Buffer]
    const answers = JSON.parse(data.toString()) as Array<{ id: string; error?: { data: { code: string } } }>
    const wanted = RPC_METHODS.map((method) => {
      const { scope, forOneExecution } = operationOf(method)
      const isAllowed = scopes.includes(scope) && (!isBound || forOneExecution)
      const past = 'executionId' in params(method) ? 'EXECUTION_NOT_FOUND' : 'INVALID_REQUEST'
      const isForAll = method === 'approval.list' && scopes.includes('admin') && !isBound
      return [method, isForAll ? undefined : isAllowed ? past : 'FORBIDDEN'] as const
    })
    t.same(Object.fromEntries(answers.map(({ id, error }) => [id, error?.data.code])), Object.fromEntries(wanted), who)
    socket.terminate()
  }
})

const operationOf = (method: string): Operation =>
  Object.entries<Operation>(OPERATIONS).find(([name]) => name === method)?.[1] ?? OPERATIONS['health.get']

void t.test('every tool of MCP: scope and owner', async (t) => {
  const theirs = { executionId: foreign, approvalId: foreign }
  for (const { who, token, scopes, isBound } of CALLERS) {
    if (token === undefined || !scopes) continue
    const wrong: string[] = []
    await Promise.all(
      Object.entries<{ operation: keyof typeof OPERATIONS; input: z.ZodType }>(TOOLS).map(async ([name, tool]) => {
        const { scope, forOneExecution }: Operation = OPERATIONS[tool.operation]
        const named = Object.fromEntries(Object.entries(theirs).filter(([field]) => field in shapeOf(tool.input)))
        const need = NEEDS.find((each) => tool.input.safeParse({ ...named, ...each }).success)
        const given = name === 'execute' ? { prompt: 'x', session: { resume: foreign } } : { ...named, ...need }
        const answer = await call('POST', '/mcp', {
          body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: given } },
          headers: { authorization: `Bearer ${token}` },
        })
        const [, data = ''] = /^data: (.+)$/m.exec(answer.text) ?? []
        const { isError, structuredContent: told } = JSON.parse(data).result
        const isAllowed = (scopes.includes(scope) || scopes.includes('admin')) && (!isBound || forOneExecution)
        const isForAll =
          name === 'get_executor_status' || (tool.operation === 'approval.list' && scopes.includes('admin'))
        const found = isError ? told.code : 'done'
        const past = isForAll ? ['done'] : ['EXECUTION_NOT_FOUND', 'APPROVAL_NOT_FOUND', 'SESSION_NOT_FOUND']
        if (!(isAllowed ? past : ['FORBIDDEN']).includes(found)) wrong.push(`${name}: ${found}`)
      }),
    )
    t.same(wrong, [], who)
  }
})

void t.test('the dialect of the original has nothing for a token of one execution', async (t) => {
  const socket = new WebSocket(`${base.replace('http', 'ws')}/ws/mcp`, ['cc-executor', `bearer.${watching}`])
  const [connected] = await once(socket, 'message')
  t.match(JSON.parse(String(connected)), { method: 'connected' })
  for (const [method, params] of [
    ['execute', { command: 'claude -p x' }],
    ['control', { type: 'CANCEL', execution_id: own }],
    ['hook_status', {}],
  ] as const) {
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: method, method, params }))
    const [answer] = await once(socket, 'message')
    t.ok(JSON.parse(String(answer)).error, method)
  }
  socket.terminate()
})
