// Records that somebody has changed in Redis: the worker refuses each of them by name, before anything is started.
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { readRights } from '../../src/executions/claim/record-grant.js'
import { digestRequest } from '../../src/executions/records/digest-request.js'
import { toGrantText } from '../../src/executions/records/grant.js'
import { openGrantKey } from '../../src/verification/grant-key.js'
import { openSigningKey } from '../../src/verification/signing-key.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const USER = 'user-token-0123456789'
const ADMIN = 'admin-token-0123456789'
const service = await openTestService(t, {
  apis: 0,
  workers: 0,
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_TOKENS: `user=${USER}:execute+read,boss=${ADMIN}:admin`,
    CC_EXECUTOR_MAX_BUDGET_USD: '2',
    CC_EXECUTOR_MAX_BUDGET_TOKENS: '1000',
  },
})
// As `npm start` has it: Redis lies in the data folder.
const WORKSPACES = join(service.directory, 'named')
const folder = {
  CC_EXECUTOR_DATA_DIR: service.directory,
  REDIS_URL: service.redis.url,
  CC_EXECUTOR_WORKSPACE_ROOT: WORKSPACES,
  CC_EXECUTOR_ALLOWED_ROOTS: WORKSPACES,
}
await service.openApi(folder)
const redis = new Redis(new URL(service.redis.url).pathname)
t.teardown(() => redis.quit())

const keyOf = (id: string): string => `{cc}:execution:${id}`
const headers = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
const submit = async (body: Record<string, unknown>, token = USER): Promise<string> =>
  (await service.submit(body, headers(token))).id
/** A script for the scripted CLI; with the real CLI an ordinary prompt, which the simulated model answers. */
const PROMPT = JSON.stringify([
  { line: { type: 'result', subtype: 'success', is_error: false, result: 'done', num_turns: 1, usage: {} } },
])
const SERVERS = { x: { command: 'sh', args: ['-c', 'echo'] } }

async function setRequest(id: string, more: Partial<ExecuteRequest>): Promise<void> {
  const request = { ...JSON.parse((await redis.hget(keyOf(id), 'request')) ?? ''), ...more }
  await redis.hset(keyOf(id), 'request', JSON.stringify(request), 'requestDigest', digestRequest(request))
}
/** As one who knows the code would change it: the digest fits, and no signature speaks against it. */
async function setUnsigned(id: string, more: Partial<ExecuteRequest>): Promise<void> {
  await setRequest(id, more)
  await redis.hdel(keyOf(id), 'grant')
}
async function setGrant(id: string, more: object): Promise<void> {
  const grant = JSON.parse((await redis.hget(keyOf(id), 'grant')) ?? '')
  await redis.hset(keyOf(id), 'grant', JSON.stringify({ ...grant, ...more }))
}

interface Case {
  readonly name: string
  readonly asked?: Record<string, unknown>
  readonly change: (id: string) => Promise<unknown>
  readonly says: RegExp
}
const set =
  (...fields: string[]) =>
  async (id: string): Promise<unknown> =>
    redis.hset(keyOf(id), ...fields)
const other = await submit({ prompt: PROMPT }, ADMIN)
const CASES: readonly Case[] = [
  {
    name: 'the permission mode',
    change: (id) => setUnsigned(id, { permissionMode: 'bypassPermissions' }),
    says: /bypassPermissions is disabled here/,
  },
  { name: 'its other one', change: (id) => setUnsigned(id, { permissionMode: 'auto' }), says: /auto is disabled/ },
  {
    name: 'commands to verify with',
    change: (id) => setUnsigned(id, { verify: { commands: [['true']] } }),
    says: /verify\.commands: .*admin scope/,
  },
  {
    name: 'a server that is a program',
    change: (id) => setUnsigned(id, { mcpServers: SERVERS }),
    says: /mcpServers\.x: .*admin scope/,
  },
  {
    name: 'hosts',
    change: (id) => setUnsigned(id, { network: { hosts: ['evil.test'] } }),
    says: /network\.hosts: evil\.test/,
  },
  { name: 'the prompt, with its digest', change: (id) => setRequest(id, { prompt: 'else' }), says: /its signature/ },
  {
    name: 'the prompt alone',
    change: set('request', JSON.stringify({ prompt: 'else' })),
    says: /does not match its digest/,
  },
  {
    name: 'an unknown field',
    change: (id) => setUnsigned(id, { evil: 1 } as object),
    says: /not one that the API accepts/,
  },
  { name: 'the rights', change: (id) => setGrant(id, { isAdmin: true }), says: /its signature does not match/ },
  {
    name: 'the rights, under another key',
    change: async (id) => {
      await setRequest(id, { mcpServers: SERVERS })
      await setGrant(id, { isAdmin: true, kid: 'another' })
    },
    says: /a key that never belonged to this service/,
  },
  { name: 'the owner', change: set('owner', 'boss'), says: /its signature does not match/ },
  { name: 'the time', change: set('createdAt', '1'), says: /its signature does not match/ },
  { name: 'the model that answers', change: set('simulated', '0'), says: /its signature does not match/ },
  { name: 'a workspace outside', change: set('workspace', '/etc'), says: /its (workspace|signature)/ },
  { name: 'a workspace of another', change: set('workspace', other), says: /its (workspace|signature)/ },
  {
    name: 'a workspace outside, asked for',
    change: async (id) => {
      await setUnsigned(id, { workspace: '/etc' })
      await redis.hset(keyOf(id), 'workspace', '/etc')
    },
    says: /workspace: an absolute path is accepted only/,
  },
  { name: 'dollars above the cap', change: set('reserved:usd', '5000000'), says: /maxBudgetUsd: 5 is reserved, and 2/ },
  { name: 'tokens above the cap', change: set('reserved:tokens', '5000'), says: /maxBudgetTokens: 5000 is reserved/ },
  { name: 'the home', change: set('home', other), says: /a conversation that was not requested/ },
  { name: 'the session', change: set('sourceSession', other), says: /a conversation that was not requested/ },
  {
    name: 'the session, asked for',
    change: async (id) => {
      await setUnsigned(id, { session: { resume: other } })
      await redis.hset(keyOf(id), 'resumedFrom', other, 'sourceSession', other, 'home', other)
    },
    says: /another owner/,
  },
  {
    name: 'an estimate',
    change: set('timeoutEstimate', JSON.stringify({ timeoutSeconds: 999_999 })),
    says: /no estimate was requested/,
  },
  { name: 'a list', change: set('parentId', other, 'taskIndex', '0'), says: /its task list requests something else/ },
]

/** Once it has ended, as its owner of now reads it. */
async function read(id: string): Promise<{ outcome?: object; events: Event[] }> {
  const path = `/executions/${id}`
  const as = { headers: headers((await redis.hget(keyOf(id), 'owner')) === 'boss' ? ADMIN : USER) }
  await service.call('GET', `${path}/events?types=execution.finished&waitSeconds=30`, as)
  const { events } = (await service.call('GET', `${path}/events?limit=1000`, as)).body
  return { outcome: (await service.call('GET', path, as)).body.outcome, events }
}

void t.test('each changed field of a record is refused by name, and nothing of it is started', async (t) => {
  const ids = new Map<Case, string>()
  for (const one of CASES) ids.set(one, await submit({ prompt: PROMPT, ...one.asked }))
  for (const [{ change }, id] of ids) await change(id)
  const list = await submit({ tasks: [PROMPT, 'two'] })
  const [task = ''] = await redis.keys('{cc}:execution:*').then(async (keys) => {
    const parents = await Promise.all(keys.map((key) => redis.hget(key, 'parentId').catch(() => null)))
    return keys.filter((_key, index) => parents[index] === list)
  })
  await setUnsigned(task.slice(keyOf('').length), { permissionMode: 'plan' })
  const honest = await submit({ prompt: PROMPT, maxBudgetUsd: 50 })
  const trusted = await submit({ prompt: PROMPT, mcpServers: SERVERS }, ADMIN)

  await service.openWorker({ ...folder, CC_EXECUTOR_CONCURRENCY: '4' })
  for (const [{ name, says }, id] of ids) {
    const { outcome, events } = await read(id)
    t.match(outcome, { status: 'failed', code: 'FORBIDDEN', message: says }, name)
    t.notOk(
      events.some(({ type }) => type === 'execution.started'),
      `${name}: not started`,
    )
  }
  t.match(
    (await read(task.slice(keyOf('').length))).outcome,
    { code: 'FORBIDDEN', message: /its task list requests something else/ },
    'a task that asks for something else than its list',
  )
  t.match((await read(honest)).outcome, { status: 'succeeded' }, 'what nobody has changed runs')
  const { outcome, events } = await read(trusted)
  t.match(outcome, { status: 'succeeded' }, 'and the rights of an admin reach the worker')
  t.ok(events.some(({ type }) => type === 'mcp.status'))
})

/** As an API wrote it that granted nothing, and took a path below the workspace root for a name of its own. */
async function makeOld(id: string, tasks: readonly string[] = []): Promise<string> {
  const path = join(WORKSPACES, (await redis.hget(keyOf(id), 'workspace')) ?? '')
  for (const one of [id, ...tasks]) {
    await setUnsigned(one, { workspace: path })
    await redis.hset(keyOf(one), 'workspace', path, 'workspaceLock', path)
  }
  return path
}

void t.test(
  'what an older API has queued in a path below the workspace root runs, and can be gone on with',
  async (t) => {
    await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
    const list = await submit({ tasks: [PROMPT], workspace: 'listed' })
    const id = await submit({ prompt: PROMPT, workspace: 'before' })
    const path = await makeOld(id)
    const [task = ''] = await redis.hvals(`{cc}:tasks:${list}`)
    await makeOld(list, [task.split(' ')[0] ?? ''])
    // The real CLI: a conversation that can be gone on with has a transcript.
    const real = { CC_EXECUTOR_CLAUDE_BIN: process.env['CC_EXECUTOR_CLAUDE_BIN'] }
    await service.openWorker({ ...folder, ...real, CC_EXECUTOR_CONCURRENCY: '4' })
    for (const one of [id, list]) t.match((await read(one)).outcome, { status: 'succeeded' })

    const as = { headers: headers(USER), body: { prompt: PROMPT, workspace: path, session: { resume: id } } }
    const { status, body } = await service.call('POST', '/execute', as)
    t.match({ status, body }, { status: 202, body: { workspace: 'before' } }, JSON.stringify(body))
    t.match((await read(body.id)).outcome, { status: 'succeeded' })
    const other = { headers: headers(ADMIN), body: { prompt: PROMPT, workspace: 'before' } }
    t.match(await service.call('POST', '/execute', other), { status: 404 }, 'and it has an owner from then on')
  },
)

/** As an API signed it before there was a secret for the rights. */
async function signByReceiptKey(id: string, signs = (text: string): string => text): Promise<void> {
  const { owner = '', requestDigest = '', createdAt, simulated, workspace = '' } = await redis.hgetall(keyOf(id))
  const { jwk, sign } = await openSigningKey(service.directory)
  const claim = { isAdmin: true, kid: jwk.kid }
  const granted = { id, owner, createdAt: Number(createdAt), simulated: simulated === '1', requestDigest, workspace }
  await setGrant(id, { ...claim, signature: sign(signs(toGrantText(granted, claim))) })
}

void t.test('rights that were signed with the key of the receipts hold, and only where they are true', async (t) => {
  await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
  const id = await submit({ prompt: PROMPT, mcpServers: SERVERS }, ADMIN)
  const changed = await submit({ prompt: PROMPT, mcpServers: SERVERS }, ADMIN)
  await signByReceiptKey(id)
  await signByReceiptKey(changed, (text) => text.replace('"isAdmin":true', '"isAdmin":false'))
  await service.openWorker(folder)
  t.match((await read(id)).outcome, { status: 'succeeded' })
  t.match((await read(changed)).outcome, { code: 'FORBIDDEN', message: /its signature does not match/ })
})

void t.test('a data folder with a blank in its name is one’s own as well', async (t) => {
  const record = { id: 'x', owner: 'user', createdAt: 1, simulated: true, request: { prompt: 'x' } }
  const grant = { isAdmin: true, kid: 'another', signature: '' }
  const dataDir = join(service.directory, 'with blank')
  const grantKey = async () => openGrantKey(service.directory)
  const ask = (redisUrl: string) => readRights({ config: { dataDir, redisUrl }, grantKey }, { ...record, grant })
  await t.rejects(ask(`unix://${dataDir}/redis/redis.sock`), { message: /a key that never belonged to this service/ })
  t.same(await ask('unix:///elsewhere/redis.sock'), { isAdmin: true })
})

void t.test('a worker on another host takes an API’s word for the rights, and no more', async (t) => {
  await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
  const id = await submit({ prompt: PROMPT, verify: { commands: [['true']] } }, ADMIN)
  const changed = await submit({ prompt: PROMPT })
  await setRequest(changed, { permissionMode: 'bypassPermissions' })
  await service.openWorker({ CC_EXECUTOR_DATA_DIR: `${service.directory}/elsewhere`, REDIS_URL: service.redis.url })
  t.match((await read(id)).outcome, { status: 'succeeded' })
  t.match((await read(changed)).outcome, { code: 'FORBIDDEN', message: /bypassPermissions is disabled/ })
})
