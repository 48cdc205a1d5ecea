// Which credential a claim takes, in the script, and what an operator's file of credentials may say.
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { environmentOf, readCredentialsFile } from '../../src/claude/install/credentials-file.js'
import { CredentialPool } from '../../src/executions/claim/credential-pool.js'
import { toPayments } from '../../src/executions/records/payments.js'
import type { CredentialOffer } from '../../src/executions/store/transitions.js'
import { describeCredentials, warnOfExpiry } from '../../src/executions/read/credential-states.js'
import { openDomain } from '../../src/main/lifecycle/open-services.js'
import { readConfig } from '../../src/platform/config.js'
import { createGrowingMask } from '../../src/platform/growing-mask.js'
import { Lifetime } from '../../src/platform/lifetime.js'
import { createLogger } from '../../src/platform/logger.js'
import { NO_USAGE, type Usage } from '../../src/protocol/execution.js'
import type { WorkerState } from '../../src/protocol/service-state.js'
import { openTestRedis } from '../support/redis.js'

const silent = createLogger('silent', 'test')
const offer = (name: string, weight = 1, highestSandbox = 2): CredentialOffer => ({ name, weight, highestSandbox })

void t.test('the claim chooses: by weight, never a blocked one, and two workers agree', async (t) => {
  const redis = await openTestRedis(t)
  const lifetime = new Lifetime()
  t.teardown(() => lifetime.close())
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: redis.directory, LOG_LEVEL: 'silent' })
  const { store, redis: keys } = openDomain({ config, redisUrl: redis.url, logger: silent, lifetime }, 'keeper')
  async function create(more: { sandbox?: 'locked' } = {}): Promise<string> {
    const id = randomUUID()
    await store.create(
      {
        id,
        owner: 'tester',
        request: { prompt: 'x', ...more },
        requestDigest: 'digest',
        priority: 'normal',
        createdAt: Date.now(),
        workspace: id,
        metadata: {},
        simulated: true,
      },
      1_000,
    )
    return id
  }
  const claim = async (offers: readonly CredentialOffer[], worker = 'worker', id?: string): Promise<string> => {
    const answer = await store.claim(id ?? (await create()), 1, worker, 60_000, offers)
    return answer.kind === 'claimed' ? answer.credential : answer.kind
  }
  const count = (names: readonly string[]): Record<string, number> =>
    names.reduce<Record<string, number>>((sums, name) => ({ ...sums, [name]: (sums[name] ?? 0) + 1 }), {})

  t.equal(await claim([offer('alone')]), 'alone')
  t.same(await keys.hgetall('{cc}:credential-turns'), {}, 'one alone needs no turns')
  const both = [offer('a', 2), offer('b')]
  const names: string[] = []
  for (let round = 0; round < 12; round += 1) names.push(await claim(both, `worker ${round % 2}`))
  t.same(count(names), { a: 8, b: 4 }, names.join(' '))
  t.not(names.slice(0, 3).join(''), 'aaa', 'in turns, not one after the other')
  t.ok((await keys.pttl('{cc}:credential-turns')) > 0, 'the turns are forgotten some day')

  const id = await create()
  const first = await claim(both, 'worker', id)
  t.equal(await claim(both.toReversed(), 'worker', id), first, 'sent again it answers the same')
  const twenty = await Promise.all(
    Array.from({ length: 20 }, (_, index) => claim([offer('c'), offer('d')], `w${index}`)),
  )
  t.same(count(twenty), { c: 10, d: 10 }, 'twenty workers at once')

  const later = new Date(Date.now() + 3_600_000)
  await store.blockCredential('a', later)
  t.same(count(await Promise.all([1, 2, 3].map(() => claim(both)))), { b: 3 })
  await store.blockCredential('b', new Date(Date.now() + 60_000))
  const stopped = await create()
  const all = await store.claim(stopped, 1, 'worker', 60_000, both)
  t.equal(all.kind, 'blocked')
  t.ok(all.kind === 'blocked' && all.waitMs > 30_000 && all.waitMs <= 60_000, 'until the first of them is free')
  await keys.zrem('{cc}:blocked', 'a')
  const back = [await claim(both, 'worker', stopped), await claim(both), await claim([...both, offer('new', 1)])]
  t.same(back, ['a', 'a', 'new'], 'a new one is first once')
  await keys.del('{cc}:blocked')
  const after: string[] = []
  for (let round = 0; round < 9; round += 1) after.push(await claim(both))
  t.ok((count(after)['b'] ?? 0) <= 4, `who was blocked does not catch up: ${after.join(' ')}`)

  const cloud = [offer('cloud', 1, 1), offer('key', 1, 2)]
  const locked = await create({ sandbox: 'locked' })
  await store.blockCredential('key', later)
  t.match(await store.claim(locked, 1, 'worker', 60_000, cloud), { kind: 'unsuited' }, 'the others go on meanwhile')
  t.equal((await store.get(locked))?.waitingFor, undefined, 'it does not wait for a sandbox')
  t.equal(await claim(cloud), 'cloud')
  await keys.del('{cc}:blocked')
  t.equal(await claim(cloud, 'worker', locked), 'key', 'only that one can be lent')
  t.equal(await claim([offer('cloud', 1, 1)], 'worker', await create({ sandbox: 'locked' })), 'unsuited')
})

void t.test('who has paid what', async (t) => {
  const used = (inputTokens: number, costUsd: number): Usage => ({ ...NO_USAGE, inputTokens, costUsd })
  const a = { credential: 'a', usage: used(10, 0.1) }
  t.same(toPayments({ credential: 'a' }, used(10, 0.1), 1), [a])
  t.same(toPayments({ credential: 'b', paidBy: [a] }, used(30, 0.3), 2), [a, { credential: 'b', usage: used(20, 0.2) }])
  t.same(toPayments({ credential: 'a', paidBy: [a] }, used(30, 0.3), 2)?.length, 1, 'the same one is named once')
  t.same(toPayments({ credential: 'b', paidBy: [a] }, used(10, 0.1), 1), [a], 'what was not begun has cost nothing')
  t.equal(toPayments({ credential: 'a' }, NO_USAGE, 0), undefined)
  t.equal(toPayments({}, used(1, 1), 1), undefined, 'an older worker names none')
})

void t.test('a file of credentials: each error names the entry and the field, and no value', async (t) => {
  const folder = t.testdir({})
  const path = join(folder, 'credentials.json')
  const write = async (content: unknown, mode = 0o600): Promise<void> => {
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    await chmod(path, mode)
  }
  const key = { name: 'key', kind: 'api_key', value: 'sk-secret-value-1' }
  const login = { name: 'max', kind: 'login', folder: '/home/somebody/.claude' }
  const token = { name: 'second', kind: 'oauth_token', value: 'oauth-secret-2' }
  const cases: Array<[unknown, RegExp]> = [
    ['{', /^it is not valid JSON$/],
    [{}, /expected a list of credentials/],
    [[], /at least one/],
    [[{ ...key, name: 'a b' }], /^entry 1, name: expected 1 to 64/],
    [[key, { ...key, name: 'other', kind: 'apikey' }], /^entry 2 \(other\), kind: expected one of api_key/],
    [[{ name: 'key', kind: 'api_key' }], /^entry 1 \(key\), value: is missing/],
    [[{ ...key, value: 'short' }], /^entry 1 \(key\), value: expected at least 8/],
    [[{ ...key, value: 'with\nanother: header' }], /^entry 1 \(key\), value: /],
    [[{ ...key, weight: 0 }], /^entry 1 \(key\), weight: /],
    [[{ ...key, wieght: 2 }], /^entry 1 \(key\): .*wieght/],
    [[{ ...key, folder: '/x' }], /^entry 1 \(key\), folder: goes with the kind login/],
    [[{ ...login, folder: 'x' }], /^entry 1 \(max\), folder: expected an absolute path/],
    [[{ ...login, value: 'sk-secret-value-1' }], /^entry 1 \(max\), value: does not go with login/],
    [[{ ...key, variables: { REDIS_URL: 'x' } }], /^entry 1 \(key\), variables.REDIS_URL: is not a variable/],
    [[key, { ...token, name: 'key' }], /^entry 2 \(key\), name: is the same as that of entry 1/],
    [[key, { ...key, name: 'other' }], /^entry 2 \(other\), value: is the same as that of entry 1/],
    [[login, key, token], /^entry 3 \(second\), kind: a second subscription requires CC_EXECUTOR_POOL_LOGINS=true/],
  ]
  for (const [content, expected] of cases) {
    await write(content)
    try {
      readCredentialsFile(path, false)
      t.fail(`refused: ${JSON.stringify(content)}`)
    } catch (error) {
      t.match((error as Error).message, expected)
      t.notMatch((error as Error).message, /sk-secret|oauth-secret|another: header/)
    }
  }
  await write([login, key, token])
  t.equal(readCredentialsFile(path, true).length, 3, 'with the operator’s word')
  await write({ credentials: [key] })
  t.match(readCredentialsFile(path, false), [{ ...key, weight: 1, variables: {} }])
  await write([key], 0o640)
  t.throws(() => readCredentialsFile(path, false), /other users can open it \(mode 640\); run chmod 600/)
  t.throws(() => readCredentialsFile(`${path}.not`, false), /cannot be read \(ENOENT\)/)
  t.throws(() => readConfig({ CC_EXECUTOR_CREDENTIALS_FILE: path, CC_EXECUTOR_CREDENTIAL: 'x' }), /have names; unset/)

  const worker = {
    PATH: '/bin',
    ANTHROPIC_API_KEY: 'sk-of-the-worker',
    CLAUDE_CODE_USE_BEDROCK: '1',
    AWS_SESSION_TOKEN: 'of the worker',
    AWS_REGION: 'eu-west-1',
  }
  const of = (entry: object) =>
    environmentOf({ name: 'x', kind: 'api_key', weight: 1, variables: {}, ...entry }, worker)
  t.same(of({ value: 'sk-1' }), {
    PATH: '/bin',
    AWS_SESSION_TOKEN: 'of the worker',
    AWS_REGION: 'eu-west-1',
    ANTHROPIC_API_KEY: 'sk-1',
  })
  t.same(
    of({ kind: 'bedrock', variables: { AWS_REGION: 'us-east-1', AWS_BEARER_TOKEN_BEDROCK: 'b' } }),
    { PATH: '/bin', CLAUDE_CODE_USE_BEDROCK: '1', AWS_REGION: 'us-east-1', AWS_BEARER_TOKEN_BEDROCK: 'b' },
    'no half of another identity',
  )
  t.match(of({ kind: 'bedrock' }), { AWS_SESSION_TOKEN: 'of the worker', ANTHROPIC_API_KEY: undefined })
})

void t.test('the file is read again; what is wrong with it keeps what was', async (t) => {
  const folder = t.testdir({})
  const path = join(folder, 'data', 'credentials.json')
  await mkdir(join(folder, 'data'))
  const write = async (...entries: unknown[]): Promise<void> => {
    await writeFile(path, JSON.stringify(entries), { mode: 0o600 })
  }
  const a = { name: 'a', kind: 'api_key', value: 'sk-secret-value-a' }
  const b = { name: 'b', kind: 'auth_token', value: 'secret-value-of-b', weight: 3 }
  await write(a, b)
  const config = readConfig({ CC_EXECUTOR_DATA_DIR: join(folder, 'data'), CC_EXECUTOR_CREDENTIALS_FILE: path })
  t.match(config.secretFiles, [{ path, setting: 'CC_EXECUTOR_CREDENTIALS_FILE' }], 'no run sees it')
  const mask = createGrowingMask([])
  const pool = new CredentialPool({ config, sandboxesOf: () => ['host'], onSecrets: mask.add })
  const names = (): string[] => pool.list.map(({ name }) => name)
  t.same(names(), ['a', 'b'])
  t.equal(mask.text('x sk-secret-value-a secret-value-of-b'), 'x [masked] [masked]')
  t.equal(pool.refresh(silent), false)
  const [first, second] = pool.list
  if (!first || !second) throw new Error('two')
  await write({ ...b, weight: 1 }, { name: 'c', kind: 'api_key', value: 'secret-value-of-c' })
  t.equal(pool.refresh(silent), true)
  t.same(names(), ['b', 'c'])
  t.same([pool.has(first), pool.has(second)], [false, true], 'a weight is no other credential')
  t.equal(mask.text('sk-secret-value-a secret-value-of-c'), '[masked] [masked]', 'what was taken away stays secret')
  await write({ ...b, value: 'another-value-of-b' })
  pool.refresh(silent)
  t.same([pool.has(second), pool.isReplaced(second), pool.isReplaced(first)], [false, true, false])
  await writeFile(path, '[{')
  t.equal(pool.refresh(silent), false)
  t.same(names(), ['b'])
  t.match(pool.problem, /CC_EXECUTOR_CREDENTIALS_FILE: .*it is not valid JSON/)
  await write(a)
  pool.refresh(silent)
  t.same([names(), pool.problem], [['a'], undefined])
})

void t.test('what the workers say of their credentials, together', (t) => {
  const now = new Date('2026-11-30T12:00:00Z')
  const worker = (more: object): WorkerState =>
    ({ credential: 'a', authentication: { method: 'oauth_token', billed: false }, ...more }) as WorkerState
  const limit = (utilization: number, resetsAt: string) => ({
    name: 'five_hour',
    status: 'allowed',
    utilization,
    resetsAt,
  })
  const known = (name: string, more: object = {}) => ({
    name,
    method: 'login' as const,
    billed: false,
    weight: 1,
    ...more,
  })
  const [older, newer] = ['2026-11-30T13:00:00.000Z', '2026-11-30T18:00:00.000Z']
  const states = describeCredentials(
    [
      worker({ account: { limits: [limit(0.9, older)] } }),
      worker({ credentials: [known('a', { account: { limits: [limit(0.1, newer)] } }), known('b')] }),
      worker({ credentials: [known('b', { account: { credentialExpiresAt: '2026-12-09T00:00:00.000Z' } })] }),
    ],
    [{ credential: 'b', until: newer }],
    now,
  )
  t.match(states, [
    { name: 'a', method: 'oauth_token', workers: 2, account: { limits: [limit(0.1, newer)] }, blockedUntil: undefined },
    { name: 'b', workers: 2, blockedUntil: newer, warning: /expires on 2026-12-09.*`claude`/ },
  ])
  t.equal(warnOfExpiry('2026-12-10T12:00:01Z', now), undefined, 'more than ten days')
  t.match(warnOfExpiry('2026-12-10T12:00:00Z', now), /expires/)
  t.match(warnOfExpiry('2026-11-01T00:00:00Z', now), /expired/)
  t.end()
})
