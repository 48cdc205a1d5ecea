// One request for every answer that openapi.json documents. An answer without a case here, or a case without an answer
// there, fails the walk: the table and the document grow together.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ErrorCode } from '../../src/protocol/errors.js'
import { SCHEDULE_OPERATIONS } from './schedule-cases.js'
import { DELIVERIES_LIMIT, TOKENS_LIMIT } from './started-service.js'
import { ask, ENDLESS, NOBODY, OWNED, type Asked, type Scene } from './scene.js'
import { until } from '../support/deadlines.js'

const HEARD_MS = 60_000

/** Of the answer to a request: everything but its method. */
export type Parts = Omit<Asked, 'method'>
/** In this order: what a later one changes, an earlier one still needs. */
export type Phase = 'first' | 'full' | 'forgotten' | 'down'
export type Make = (scene: Scene) => Parts | Promise<Parts>

export interface RestCase {
  readonly make: Make
  readonly phase?: Phase
}

export interface RestOperation {
  /** Asks for something that is there and changes nothing; what is wrong is put into it. */
  readonly base: Make
  /** What the token must be allowed to do; undefined: it needs none. */
  readonly scope?: 'read' | 'execute' | 'approve' | 'admin'
  /** A query that is not valid. */
  readonly wrongQuery?: string
  /** `200 application/json`, `204`, or the code of a problem. */
  readonly cases: Readonly<Record<string, RestCase>>
}

const withId =
  (
    path: (id: string) => string,
    id: (scene: Scene) => string | Promise<string>,
    more: Omit<Parts, 'path'> = {},
  ): Make =>
  async (scene) => ({ path: path(await id(scene)), ...more })
const of =
  (suffix: string) =>
  (id: string): string =>
    `/executions/${id}${suffix}`
const kept = ({ kept: id }: Scene): string => id
const running = ({ running: id }: Scene): string => id

const admission: Make = async (scene) => ({ path: '/workspaces/admissions', body: await scene.toAdmission() })

function submission(path: string): RestOperation {
  const body =
    (more: (scene: Scene) => Record<string, unknown>, headers: Record<string, string> = {}): Make =>
    (scene) => ({ path, body: { prompt: 'Say hello', workspace: scene.workspace, ...more(scene) }, headers })
  const replayed =
    (prompt: string): Make =>
    async (scene) => {
      await scene
        .submit({ prompt: 'the first', workspace: scene.workspace }, { 'idempotency-key': `${scene.key}${path}` })
        .catch(() => undefined)
      return {
        path,
        body: { prompt, workspace: scene.workspace },
        headers: { 'idempotency-key': `${scene.key}${path}` },
      }
    }
  const fresh =
    (more: Record<string, unknown>): Make =>
    () => ({ path, body: { prompt: 'x', ...more } })
  return {
    base: body(() => ({})),
    scope: 'execute',
    cases: {
      '202 application/json': { make: body(() => ({})) },
      '200 application/json': { make: replayed('the first') },
      '200 text/event-stream': {
        make: ({ forgottenKey }) => ({
          path,
          body: { prompt: 'forgotten soon' },
          headers: { 'idempotency-key': forgottenKey, accept: 'text/event-stream' },
        }),
      },
      IDEMPOTENCY_CONFLICT: { make: replayed('another') },
      COMMAND_NOT_ALLOWED: { make: () => ({ path, body: { command: 'rm -rf /' } }) },
      REPOSITORY_NOT_ALLOWED: { make: fresh({ repository: { url: 'https://localhost/not/listed' } }) },
      WORKSPACE_NOT_FOUND: { make: () => ({ path, as: 'other', body: { prompt: 'x', workspace: OWNED } }) },
      SESSION_NOT_FOUND: { make: fresh({ session: { resume: NOBODY } }) },
      WEBHOOK_NOT_FOUND: { make: fresh({ webhooks: ['whk_nothing'] }) },
      SESSION_BUSY: { make: (scene) => ({ path, body: { prompt: 'x', session: { resume: scene.running } } }) },
      BUDGET_EXCEEDED: { make: () => ({ path, as: 'poor', body: { prompt: 'x', maxBudgetTokens: 1_000 } }) },
      QUEUE_FULL: {
        phase: 'full',
        async make(scene) {
          await scene.fillQueue()
          return { path, body: { prompt: ENDLESS } }
        },
      },
      // The key was used, and what it led to is no longer kept.
      EXECUTION_NOT_FOUND: {
        phase: 'forgotten',
        async make(scene) {
          await scene.untilForgotten()
          return { path, body: { prompt: 'forgotten soon' }, headers: { 'idempotency-key': scene.forgottenKey } }
        },
      },
    },
  }
}

function steering(name: string, cases: RestOperation['cases']): RestOperation {
  return {
    base: withId(of(`/${name}`), kept, { body: {} }),
    scope: 'execute',
    cases: { INVALID_REQUEST: { make: withId(of(`/${name}`), kept, { body: { reason: 'x'.repeat(501) } }) }, ...cases },
  }
}

const paused = (name: string): RestOperation =>
  steering(name, {
    '202 application/json': { make: withId(of(`/${name}`), running) },
    ALREADY_FINISHED: { make: withId(of(`/${name}`), kept) },
    NOT_RUNNING: { make: withId(of(`/${name}`), ({ queued }) => queued) },
  })

const say = { body: { text: 'And now?' } }
const follow = { body: { text: 'And now?', delivery: 'follow_up' } }
const messages = of('/messages')
const sending: RestOperation = {
  base: withId(messages, kept, say),
  scope: 'execute',
  cases: {
    '202 application/json': { make: withId(messages, ({ queued }) => queued, say) },
    '200 application/json': {
      async make(scene) {
        const parts = { path: messages(scene.queued), ...say, headers: { 'idempotency-key': 'walked' } }
        await ask(scene.url, { method: 'POST', ...parts })
        return parts
      },
    },
    IDEMPOTENCY_CONFLICT: {
      async make(scene) {
        const parts = { path: messages(scene.queued), headers: { 'idempotency-key': 'walked too' } }
        await ask(scene.url, { method: 'POST', ...parts, ...say })
        return { ...parts, body: { text: 'another' } }
      },
    },
    SESSION_NOT_FOUND: { make: withId(messages, ({ neverStarted }) => neverStarted, follow) },
    NOT_RUNNING: { make: withId(messages, ({ submit, workspace }) => submit({ tasks: ['one'], workspace }), say) },
    BUDGET_EXCEEDED: { make: withId(messages, ({ spent }) => spent, { ...follow, as: 'poor' }) },
    RATE_LIMITED: {
      async make(scene) {
        const parts = { path: messages(await scene.waits()), ...say }
        await until(async () => (await ask(scene.url, { method: 'POST', ...parts })).status !== 202, 'no more is taken')
        return parts
      },
    },
    QUEUE_FULL: {
      phase: 'full',
      async make(scene) {
        await scene.fillQueue()
        return { path: messages(scene.kept), ...follow }
      },
    },
  },
}

const ofBudget = (id: (scene: Scene) => string | Promise<string>, more: Partial<Parts> = {}): Make =>
  withId(of('/budget'), id, { body: { maxBudgetTokens: 1_500 }, ...more })

function ofOne(suffix: string, cases: RestOperation['cases'], more: Partial<RestOperation> = {}): RestOperation {
  return { base: withId(of(suffix), kept), scope: 'read', cases, ...more }
}

const plain = (path: string, more: Partial<RestOperation> = {}): RestOperation => ({
  base: () => ({ path }),
  scope: 'read',
  cases: { '200 application/json': { make: () => ({ path }) } },
  ...more,
})
const DENY = { decision: 'deny', message: 'walked' }
const etagOf = async (scene: Scene): Promise<string> =>
  `"${(await scene.listing()).files.find(({ path }: { path: string }) => path === 'data.bin').sha256}"`

const makeToken = ({ url }: Scene): ReturnType<typeof ask> =>
  ask(url, { method: 'POST', path: '/tokens', body: { name: 'walked', scopes: ['read'] } })

/** The request that was sent before, or another one, with its Idempotency-Key. */
async function makeTwice({ url }: Scene, other: Readonly<Record<string, unknown>>): Promise<Parts> {
  const headers = { 'idempotency-key': randomUUID() }
  const body = { name: 'once', scopes: ['read'] }
  await ask(url, { method: 'POST', path: '/tokens', body, headers })
  return { path: '/tokens', body: { ...body, ...other }, headers }
}

/** A token that nothing else needs. */
const made =
  (more: Omit<Parts, 'path'> = {}): Make =>
  async (scene) => ({ path: `/tokens/${(await makeToken(scene)).body.id}`, ...more })

const ofToken = (cases: RestOperation['cases'], more: Omit<Parts, 'path'> = {}): RestOperation => ({
  base: () => ({ path: '/tokens/tok_nothing', ...more }),
  scope: 'admin',
  cases: { TOKEN_NOT_FOUND: { make: () => ({ path: '/tokens/tok_nothing', ...more }) }, ...cases },
})

const HOOK = { url: 'https://hooks.invalid/x', events: ['webhook.disabled'] }
const makeHook = async ({ url }: Scene): Promise<string> =>
  (await ask(url, { method: 'POST', path: '/webhooks', body: HOOK })).body.id
/** The body of an action that takes none. */
const NOTHING = { body: {} }
/** A webhook that nothing else needs. */
const ofHook =
  (suffix = '', more: Omit<Parts, 'path'> = {}): Make =>
  async (scene) => ({ path: `/webhooks/${await makeHook(scene)}${suffix}`, ...more })

function hooked(suffix: string, cases: RestOperation['cases'], more: Partial<Omit<Parts, 'path'>> = {}): RestOperation {
  const base: Make = () => ({ path: `/webhooks/whk_nothing${suffix}`, ...more })
  return { base, scope: 'execute', cases: { WEBHOOK_NOT_FOUND: { make: base }, ...cases } }
}

async function makeHookTwice({ url }: Scene, other: Readonly<Record<string, unknown>>): Promise<Parts> {
  const parts = { path: '/webhooks', headers: { 'idempotency-key': randomUUID() } }
  await ask(url, { method: 'POST', ...parts, body: HOOK })
  return { ...parts, body: { ...HOOK, ...other } }
}

export const REST_OPERATIONS: Readonly<Record<string, RestOperation>> = {
  'post /execute': submission('/execute'),
  'post /executions': submission('/executions'),
  'get /executions': plain('/executions', {
    wrongQuery: 'limit=0',
    cases: {
      '200 application/json': { make: () => ({ path: '/executions?limit=2' }) },
      '200 text/csv': { make: () => ({ path: '/executions', headers: { accept: 'text/csv' } }) },
      '200 application/x-ndjson': { make: () => ({ path: '/executions?format=ndjson' }) },
      EXECUTION_NOT_FOUND: { make: () => ({ path: `/executions?parentId=${NOBODY}` }) },
    },
  }),
  'get /executions/{id}': ofOne('', { '200 application/json': { make: withId(of(''), kept) } }),
  'delete /executions/{id}': ofOne(
    '',
    {
      204: {
        make: withId(of(''), async (scene) => {
          const id = await scene.waits()
          await scene.cancel(id)
          return id
        }),
      },
    },
    { scope: 'execute' },
  ),
  'get /executions/{id}/result': ofOne(
    '/result',
    {
      '200 text/plain': { make: withId(of('/result'), kept) },
      '200 application/json': { make: withId(of('/result'), ({ structured }) => structured) },
      '422 application/problem+json': { make: withId(of('/result'), ({ neverStarted }) => neverStarted) },
    },
    { wrongQuery: 'waitSeconds=x' },
  ),
  'get /executions/{id}/events': ofOne(
    '/events',
    {
      '200 application/json': { make: withId(of('/events'), kept) },
      '200 text/event-stream': { make: withId(of('/events'), kept, { headers: { accept: 'text/event-stream' } }) },
      '200 application/x-ndjson': {
        make: withId(of('/events'), kept, { headers: { accept: 'application/x-ndjson' } }),
      },
      204: { make: withId(of('/events?after=100000'), kept, { headers: { accept: 'text/event-stream' } }) },
    },
    { wrongQuery: 'after=-1' },
  ),
  'post /executions/{id}/cancel': steering('cancel', {
    '200 application/json': { make: withId(of('/cancel'), kept) },
    '202 application/json': {
      make: withId(of('/cancel'), (scene) => scene.runsAlone(), { body: { reason: 'walked' } }),
    },
  }),
  'post /executions/{id}/pause': paused('pause'),
  'post /executions/{id}/resume': paused('resume'),
  'post /executions/{id}/messages': sending,
  'get /executions/{id}/messages': ofOne('/messages', {
    '200 application/json': { make: withId(messages, kept) },
  }),
  'put /executions/{id}/budget': {
    base: ofBudget(kept),
    scope: 'execute',
    cases: {
      '200 application/json': { make: ofBudget((scene) => scene.waits()) },
      INVALID_REQUEST: { make: ofBudget(kept, { body: {} }) },
      ALREADY_FINISHED: { make: ofBudget(kept) },
      NOT_RUNNING: { make: ofBudget(({ list }) => list) },
      BUDGET_EXCEEDED: { make: ofBudget(({ tight }) => tight, { as: 'tight' }) },
    },
  },
  'get /executions/{id}/files': ofOne(
    '/files',
    {
      '200 application/json': { make: withId(of('/files'), kept) },
      '200 text/x-diff': { make: withId(of('/files?diff'), kept) },
    },
    { wrongQuery: 'diff=perhaps' },
  ),
  'get /executions/{id}/files/{path}': ofOne(
    '/files/data.bin',
    {
      '200 application/octet-stream': { make: withId(of('/files/data.bin'), kept) },
      '200 text/x-diff': { make: withId(of('/files/data.bin?diff'), kept) },
      '206 application/octet-stream': {
        make: withId(of('/files/data.bin'), kept, { headers: { range: 'bytes=0-3' } }),
      },
      304: {
        make: async (scene) => ({
          path: `/executions/${scene.kept}/files/data.bin`,
          headers: { 'if-none-match': await etagOf(scene) },
        }),
      },
      FILE_NOT_FOUND: { make: withId(of('/files/nothing.bin'), kept) },
      FILE_NOT_KEPT: { make: withId(of('/files/large.bin'), kept) },
    },
    { wrongQuery: 'diff=perhaps' },
  ),
  'get /executions/{id}/files.tar.gz': ofOne('/files.tar.gz', {
    '200 application/gzip': { make: withId(of('/files.tar.gz'), kept) },
  }),
  'get /executions/{id}/patch': ofOne('/patch', {
    '200 text/x-diff': { make: withId(of('/patch'), (scene) => scene.committed()) },
    FILE_NOT_FOUND: { make: withId(of('/patch'), kept) },
    FILE_NOT_KEPT: { make: withId(of('/patch'), (scene) => scene.overCommitted()) },
  }),
  'get /executions/{id}/bundle': ofOne('/bundle', {
    '200 application/x-git-bundle': { make: withId(of('/bundle'), (scene) => scene.committed()) },
    FILE_NOT_FOUND: { make: withId(of('/bundle'), kept) },
    FILE_NOT_KEPT: { make: withId(of('/bundle'), (scene) => scene.overCommitted()) },
  }),
  'get /executions/{id}/receipt': ofOne('/receipt', {
    '200 application/json': { make: withId(of('/receipt'), kept) },
    '200 text/markdown': { make: withId(of('/receipt'), kept, { headers: { accept: 'text/markdown' } }) },
  }),
  'get /approvals': plain('/approvals', {
    wrongQuery: 'status=perhaps',
    cases: {
      '200 application/json': { make: () => ({ path: '/approvals' }) },
      EXECUTION_NOT_FOUND: { make: () => ({ path: `/approvals?executionId=${NOBODY}` }) },
    },
  }),
  'get /approvals/{id}': {
    base: async (scene) => ({ path: `/approvals/${await scene.asks()}` }),
    scope: 'read',
    cases: {
      '200 application/json': { make: async (scene) => ({ path: `/approvals/${await scene.asks()}` }) },
      APPROVAL_NOT_FOUND: { make: () => ({ path: `/approvals/${NOBODY}` }) },
    },
  },
  'post /approvals/{id}/decision': {
    base: () => ({ path: `/approvals/${NOBODY}/decision`, body: DENY }),
    scope: 'approve',
    cases: {
      '200 application/json': {
        make: async (scene) => ({ path: `/approvals/${await scene.asks()}/decision`, body: DENY }),
      },
      APPROVAL_NOT_FOUND: { make: () => ({ path: `/approvals/${NOBODY}/decision`, body: DENY }) },
      APPROVAL_CLOSED: {
        async make(scene) {
          const path = `/approvals/${await scene.asks()}/decision`
          await ask(scene.url, { method: 'POST', path, body: DENY })
          return { path, body: { decision: 'allow' } }
        },
      },
    },
  },
  'get /receipts/keys': plain('/receipts/keys'),
  'post /receipts/verify': {
    base: ({ receipt }) => ({ path: '/receipts/verify', body: { receipt } }),
    scope: 'read',
    cases: { '200 application/json': { make: ({ receipt }) => ({ path: '/receipts/verify', body: { receipt } }) } },
  },
  'post /workspaces/admissions': {
    base: admission,
    scope: 'execute',
    cases: { '200 application/json': { make: admission } },
  },
  'get /workspaces/admissions': plain('/workspaces/admissions', { scope: 'execute', wrongQuery: 'limit=0' }),
  'delete /workspaces/admissions/{id}': {
    base: () => ({ path: '/workspaces/admissions/nothing' }),
    scope: 'execute',
    cases: {
      204: {
        make: async (scene) => {
          const { body } = await ask(scene.url, { method: 'POST', ...(await admission(scene)) })
          return { path: `/workspaces/admissions/${body.id}` }
        },
      },
      WORKSPACE_NOT_FOUND: { make: () => ({ path: '/workspaces/admissions/nothing' }) },
    },
  },
  'post /tokens': {
    base: () => ({ path: '/tokens', body: { name: 'walked', scopes: ['read'] } }),
    scope: 'admin',
    cases: {
      '201 application/json': {
        make: ({ kept: id }) => ({ path: '/tokens', body: { name: 'watches', scopes: ['read'], executionId: id } }),
      },
      EXECUTION_NOT_FOUND: {
        make: () => ({ path: '/tokens', body: { name: 'watches', scopes: ['read'], executionId: NOBODY } }),
      },
      '200 application/json': { make: (scene) => makeTwice(scene, {}) },
      IDEMPOTENCY_CONFLICT: { make: (scene) => makeTwice(scene, { name: 'another' }) },
      TOKEN_NOT_FOUND: {
        async make(scene) {
          const again = await makeTwice(scene, {})
          const { body } = await ask(scene.url, { method: 'POST', ...again })
          await ask(scene.url, { method: 'DELETE', path: `/tokens/${body.id}` })
          return again
        },
      },
      RATE_LIMITED: {
        phase: 'full',
        async make(scene) {
          for (let count = 0; count < TOKENS_LIMIT; count += 1) await makeToken(scene)
          return { path: '/tokens', body: { name: 'too many', scopes: ['read'] } }
        },
      },
    },
  },
  'get /tokens': plain('/tokens', { scope: 'admin', wrongQuery: 'limit=0' }),
  'get /tokens/{id}': ofToken({ '200 application/json': { make: made() } }),
  'patch /tokens/{id}': ofToken(
    {
      '200 application/json': { make: made({ body: { expiresAt: '2999-01-01T00:00:00Z', dailyBudgetUsd: 1 } }) },
      INVALID_REQUEST: { make: made({ body: { expiresAt: '1999-01-01T00:00:00Z' } }) },
    },
    { body: { dailyBudgetUsd: 1 } },
  ),
  'delete /tokens/{id}': ofToken({ 204: { make: made() } }),
  ...SCHEDULE_OPERATIONS,
  'post /webhooks': {
    base: () => ({ path: '/webhooks', body: HOOK }),
    scope: 'execute',
    cases: {
      '201 application/json': { make: () => ({ path: '/webhooks', body: HOOK }) },
      '200 application/json': { make: (scene) => makeHookTwice(scene, {}) },
      IDEMPOTENCY_CONFLICT: { make: (scene) => makeHookTwice(scene, { description: 'another' }) },
      INVALID_REQUEST: { make: () => ({ path: '/webhooks', body: { url: 'http://127.0.0.1:1/' } }) },
      WEBHOOK_NOT_FOUND: {
        async make(scene) {
          const again = await makeHookTwice(scene, {})
          const { body } = await ask(scene.url, { method: 'POST', ...again })
          await ask(scene.url, { method: 'DELETE', path: `/webhooks/${body.id}` })
          return again
        },
      },
      RATE_LIMITED: {
        phase: 'full',
        async make(scene) {
          await until(async () => (await makeHook(scene)) === undefined, 'no more is taken')
          return { path: '/webhooks', body: HOOK }
        },
      },
    },
  },
  'get /webhooks': plain('/webhooks', { scope: 'execute', wrongQuery: 'limit=0' }),
  'get /webhooks/{id}': hooked('', { '200 application/json': { make: ofHook() } }),
  'patch /webhooks/{id}': hooked(
    '',
    {
      '200 application/json': { make: ofHook('', { body: { enabled: false } }) },
      INVALID_REQUEST: { make: ofHook('', { body: { url: 'ftp://example.com/' } }) },
    },
    { body: { enabled: false } },
  ),
  'delete /webhooks/{id}': hooked('', { 204: { make: ofHook() } }),
  'post /webhooks/{id}/rotate': hooked('/rotate', { '200 application/json': { make: ofHook('/rotate') } }, NOTHING),
  'post /webhooks/{id}/test': hooked(
    '/test',
    {
      '202 application/json': { make: ofHook('/test') },
      RATE_LIMITED: {
        async make(scene) {
          // There is nobody of that name, so that what it hears of waits for its next attempts.
          const hears = { url: 'https://hooks.invalid/', events: ['execution.*'] }
          const { body } = await ask(scene.url, { method: 'POST', path: '/webhooks', body: hears })
          await scene.finished(await scene.submit({ prompt: 'heard of', webhooks: [body.id] }))
          const path = `/webhooks/${body.id}`
          // Of its start and its end.
          for (const deadline = performance.now() + HEARD_MS; performance.now() < deadline; await delay(50))
            if ((await ask(scene.url, { method: 'GET', path })).body.pendingDeliveries >= DELIVERIES_LIMIT)
              return { path: `${path}/test` }
          throw new Error(`what ${path} hears of is not there after ${HEARD_MS} ms`)
        },
      },
    },
    NOTHING,
  ),
  'get /webhooks/{id}/deliveries': {
    ...hooked('/deliveries', { '200 application/json': { make: ofHook('/deliveries') } }),
    wrongQuery: 'limit=0',
  },
  'post /webhooks/{id}/deliveries/{deliveryId}/redeliver': hooked(
    '/deliveries/msg_nothing/redeliver',
    {
      '202 application/json': {
        async make(scene) {
          const path = `/webhooks/${await makeHook(scene)}`
          const { body } = await ask(scene.url, { method: 'POST', path: `${path}/test` })
          return { path: `${path}/deliveries/${body.id}/redeliver` }
        },
      },
      DELIVERY_NOT_FOUND: { make: ofHook('/deliveries/msg_nothing/redeliver') },
    },
    NOTHING,
  ),
  'post /tickets': {
    base: ({ kept: id }) => ({ path: '/tickets', body: { executionId: id } }),
    scope: 'read',
    cases: { '201 application/json': { make: () => ({ path: '/tickets' }) } },
  },
  'get /estimates': plain('/estimates?prompt=hello', { wrongQuery: 'effort=none' }),
  'get /usage': plain('/usage', { wrongQuery: 'from=yesterday' }),
  'get /health': plain('/health'),
  'get /health/live': plain('/health/live'),
  'get /health/ready': plain('/health/ready', {
    cases: {
      '200 application/json': { make: () => ({ path: '/health/ready' }) },
      '503 application/json': { phase: 'down', make: () => ({ path: '/health/ready' }) },
    },
  }),
  'get /queue': plain('/queue'),
  'get /config': plain('/config', { scope: 'admin' }),
  'get /metrics': {
    base: () => ({ path: '/metrics' }),
    scope: 'read',
    cases: {
      '200 text/plain': { make: () => ({ path: '/metrics' }) },
    },
  },
  'get /auth/status': plain('/auth/status'),
}

/** What makes a request wrong in the same way everywhere. */
export const COMMON_CASES: { readonly [Code in ErrorCode]?: (operation: RestOperation) => RestCase } = {
  UNAUTHENTICATED: ({ base }) => ({ make: async (scene) => ({ ...(await base(scene)), as: null }) }),
  FORBIDDEN: ({ base, scope }) => ({
    make: async (scene) => ({ ...(await base(scene)), as: scope === 'execute' ? 'reader' : 'runner' }),
  }),
  STORE_UNAVAILABLE: ({ base }) => ({ phase: 'down', make: base }),
  PARSE_ERROR: ({ base }) => ({ make: async (scene) => ({ ...(await base(scene)), raw: '{"a":' }) }),
  PAYLOAD_TOO_LARGE: ({ base }) => ({
    make: async (scene) => ({ ...(await base(scene)), raw: Buffer.alloc(8 * 1024 * 1024 + 1, ' ') }),
  }),
  UNSUPPORTED_MEDIA_TYPE: ({ base }) => ({
    make: async (scene) => ({ ...(await base(scene)), headers: { 'content-type': 'text/plain' } }),
  }),
  NOT_ACCEPTABLE: ({ base }) => ({
    make: async (scene) => ({ ...(await base(scene)), headers: { accept: 'image/png' } }),
  }),
  INVALID_REQUEST: ({ base, wrongQuery }) => ({
    make: async (scene) => {
      const parts = await base(scene)
      if (wrongQuery === undefined) return { ...parts, body: { nobodyKnowsThis: true } }
      return { ...parts, path: `${parts.path}${parts.path.includes('?') ? '&' : '?'}${wrongQuery}` }
    },
  }),
  // Somebody else's is as good as none.
  EXECUTION_NOT_FOUND: ({ base }) => ({ make: async (scene) => ({ ...(await base(scene)), as: 'other' }) }),
  NOT_FINISHED: ({ base }) => ({
    make: async (scene) => ({
      ...(await base(scene)),
      path: (await base(scene)).path.replace(scene.kept, scene.running),
    }),
  }),
  FILE_NOT_KEPT: ({ base }) => ({
    make: async (scene) => ({
      ...(await base(scene)),
      path: (await base(scene)).path.replace(scene.kept, scene.neverStarted),
    }),
  }),
}
