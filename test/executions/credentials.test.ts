// Several credentials of a worker, with the real CLI: who pays when a limit is reached, or one is taken away, and what
// nobody is told.
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Event, EventType } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { readStoredTexts } from '../support/stored-texts.js'
import { until } from '../support/deadlines.js'

const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
const HOLD = 'echo made >> marks; until test -e go; do sleep 0.1; done'
const inSeconds = (seconds: number): number => Math.ceil(Date.now() / 1_000) + seconds

interface Entry {
  readonly name: string
  readonly kind: string
  readonly value: string
}
const entry = (name: string, kind: string): Entry => ({ name, kind, value: `value-that-nobody-is-told-${name}` })
const [first, second, third, fourth] = [
  entry('first', 'oauth_token'),
  entry('second', 'api_key'),
  entry('third', 'auth_token'),
  entry('fourth', 'api_key'),
]
/** `npm test` has what a second shows. */
const long = { skip: process.env['CC_EXECUTOR_TEST_ALL'] !== '1' && 'npm run test:all' }
/** As the API answers one account: for a subscription it says when, for a key how long at most. */
const limitOf = ({ name }: Entry, resetsAt?: number): unknown => ({
  status: 429,
  credential: `-${name}`,
  ...(resetsAt === undefined ? { retryAfter: 120 } : { resetsAt }),
})

for (const { name, env } of listClaudeVersions())
  void t.test(name, { timeout: 600_000 }, async (t) => {
    const service = await openTestService(t, { workers: 0, env: { CC_EXECUTOR_SIMULATOR_URL: '', ...env } })
    const { simulator, config, call } = service
    const file = join(config.dataDir, 'credentials.json')
    await mkdir(config.dataDir, { recursive: true })
    /** Whole or not at all, as editors and secret stores write. */
    async function know(...entries: readonly object[]): Promise<void> {
      await writeFile(`${file}.new`, JSON.stringify(entries), { mode: 0o600 })
      await rename(`${file}.new`, file)
    }
    const open = (more: NodeJS.ProcessEnv = {}) =>
      service.openWorker({
        ...env,
        ANTHROPIC_BASE_URL: simulator.url,
        ANTHROPIC_API_KEY: 'key-of-the-environment',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CC_EXECUTOR_LOGIN_TOKEN_URL: `${simulator.url}/v1/oauth/token`,
        HOME: service.directory,
        CC_EXECUTOR_CREDENTIALS_FILE: file,
        CC_EXECUTOR_CONCURRENCY: '2',
        ...more,
      })
    const begin = (steps: readonly unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
      service.submit({ prompt: scripted(...steps), allowedTools: ['Bash'], ...more })
    const of = async <Type extends EventType>({ id }: Execution, type: Type): Promise<Array<Event<Type>>> =>
      // Safe: filtered by the type.
      (await service.events(id)).filter((event) => event.type === type) as unknown as Array<Event<Type>>
    const payers = async (execution: Execution) =>
      (await of(execution, 'execution.started')).map(({ data }) => data.credential)
    const place = ({ id }: Execution, path: string) => join(config.workspaceRoot, id, path)
    const works = (execution: Execution) =>
      until(
        () =>
          access(place(execution, 'marks')).then(
            () => true,
            () => false,
          ),
        'its tool works',
      )
    const go = (execution: Execution) => writeFile(place(execution, 'go'), '')
    const queue = async () => (await call('GET', '/queue')).body
    async function hasNoGap(t: Test, execution: Execution): Promise<void> {
      const seqs = (await service.events(execution.id)).map(({ seq }) => seq)
      t.same(
        seqs,
        Array.from({ length: seqs.length }, (_, index) => index + 1),
        'its log has no gap',
      )
    }
    const redis = new Redis(service.redis.url.replace('unix://', ''))
    t.teardown(async () => redis.disconnect())
    const free = () => redis.del('{cc}:blocked', '{cc}:credential-turns')

    await t.test('a file that says too little, or that runs can write, stops the start', async (t) => {
      await know({ ...first, value: 'x' })
      await t.rejects(open(), {
        message: /CC_EXECUTOR_CREDENTIALS_FILE: .*entry 1 \(first\), value: expected at least/,
      })
      await know(first, second)
      const outside = join(service.directory, 'outside.json')
      await writeFile(outside, await readFile(file), { mode: 0o600 })
      await t.rejects(open({ CC_EXECUTOR_CREDENTIALS_FILE: outside }), {
        message: /CC_EXECUTOR_CREDENTIALS_FILE: .*outside.json is where runs may write/,
      })
    })

    const worker = await open()
    const later = inSeconds(3_600)
    const told: string[] = []

    await t.test('a limit: the session goes on at once with the next credential, and both are named', async (t) => {
      const leak = join(service.directory, 'leak')
      await writeFile(leak, `${first.value} ${second.value}`)
      const steps = [
        bash(`echo made >> marks; env; cat ${leak}; ls ${file} ; echo`),
        limitOf(first, later),
        { text: 'done' },
      ]
      const execution = await service.finished((await begin(steps)).id)
      t.match(execution, { status: 'succeeded', attempt: 2 }, JSON.stringify(execution.outcome))
      t.same(await payers(execution), ['first', 'second'])
      const [retry] = await of(execution, 'execution.retrying')
      t.match(retry?.data, { reason: 'CLAUDE_RATE_LIMITED', nextAttempt: 2, notBefore: undefined })
      t.equal((await of(execution, 'execution.started'))[1]?.data.resumed, true)
      t.equal(await readFile(place(execution, 'marks'), 'utf8'), 'made\n', 'what was done is not done again')
      const { paidBy = [], usage } = execution
      t.same(
        paidBy.map(({ credential }) => credential),
        ['first', 'second'],
      )
      const sum = (field: 'inputTokens' | 'outputTokens' | 'turns') =>
        paidBy.reduce((total, paid) => total + paid.usage[field], 0)
      t.same(
        [sum('inputTokens'), sum('outputTokens'), sum('turns')],
        [usage.inputTokens, usage.outputTokens, usage.turns],
      )
      const receipt = (await call('GET', `/executions/${execution.id}/receipt`)).text
      t.same(JSON.parse(receipt).paidBy, paidBy)
      t.match((await call('POST', '/receipts/verify', { body: { receipt } })).body, { valid: true })
      const { body: usageReport } = await call('GET', '/usage?groupBy=credential')
      t.match(usageReport.rows, [
        { credential: 'first', executions: 0, inputTokens: paidBy[0]?.usage.inputTokens },
        { credential: 'second', executions: 1, succeeded: 1, inputTokens: paidBy[1]?.usage.inputTokens },
      ])
      t.same(usageReport.total, (await call('GET', '/usage')).body.total)
      await hasNoGap(t, execution)
      told.push(receipt, JSON.stringify([execution, await service.events(execution.id)]))
    })

    await t.test('the queue shows both, and does not wait; a stranger is told no name', async (t) => {
      const state = await queue()
      const until = new Date(later * 1_000).toISOString()
      t.match(state, {
        capacity: 2,
        blockedCredentials: [{ credential: 'first', until }],
        workers: [{ credential: 'first', credentials: ['first', 'second'] }],
        credentials: [
          { name: 'first', method: 'oauth_token', billed: false, workers: 1, blockedUntil: until },
          { name: 'second', method: 'api_key', billed: true, workers: 1, blockedUntil: undefined },
        ],
      })
      const ready = (await call('GET', '/health/ready')).body.parts
      t.match(ready.claude, { status: 'ok', message: /2 credentials are used: first .* second/ })
      t.same(
        ready.claude.credentials.map((credential: { name: string }) => credential.name),
        ['first', 'second'],
      )
      const stranger = await (await fetch(`${service.url()}/health/ready`)).text()
      t.notMatch(stranger, /first|second/)
      told.push(JSON.stringify([state, ready]), stranger)
      const next = await service.finished((await begin([{ text: 'x' }])).id)
      t.same([next.status, await payers(next)], ['succeeded', ['second']])
    })

    await t.test('only when all are at their limit the queue waits, until the file has another', async (t) => {
      const waiting = await begin([limitOf(second), { text: 'x' }])
      // A key's limit has no end that the CLI tells: a minute.
      const { data } = await service.until(waiting.id, 'execution.retrying')
      const waitMs = Date.parse(data.notBefore ?? '') - Date.now()
      t.ok(waitMs > 1_000 && waitMs <= 60_000, `${waitMs} ms`)
      const held = await begin([{ text: 'x' }])
      await until(async () => (await queue()).capacity === 0, 'none can pay')
      await know(first, second, third)
      const execution = await service.finished(held.id)
      t.same([execution.status, execution.attempt, await payers(execution)], ['succeeded', 1, ['third']])
      t.match((await call('POST', `/executions/${waiting.id}/cancel`)).body, { status: 'cancelled', attempt: 1 })
      t.same(
        (await service.finished(waiting.id)).paidBy?.map(({ credential }) => credential),
        ['second'],
      )
      await hasNoGap(t, waiting)
    })

    await t.test('one is taken away while a run has it: the run goes on, and no other gets it', async (t) => {
      await free()
      await know(third)
      const steps = [bash(HOLD), { status: 401, credential: '-third' }, { text: 'done' }]
      const [held, refused] = [await begin([bash(HOLD), { text: 'done' }]), await begin(steps)]
      await Promise.all([works(held), works(refused)])
      await know(fourth)
      await go(held)
      const ended = await service.finished(held.id)
      t.same([ended.status, ended.attempt, await payers(ended)], ['succeeded', 1, ['third']])
      const next = await service.finished((await begin([{ text: 'x' }])).id)
      t.same(await payers(next), ['fourth'])
      await go(refused)
      const resumed = await service.finished(refused.id)
      t.same(
        [resumed.status, resumed.attempt, await payers(resumed)],
        ['succeeded', 2, ['third', 'fourth']],
        'the API takes it no more: the session goes on with what is left',
      )
      t.equal(await readFile(place(refused, 'marks'), 'utf8'), 'made\n')
      for (const execution of [held, refused]) await hasNoGap(t, execution)
    })

    await t.test('a login that is refused: another credential takes its place, and it is told', async (t) => {
      await free()
      const folder = join(config.dataDir, 'dead')
      await mkdir(folder)
      const login = { accessToken: 'dead-access-token', refreshToken: 'dead-refresh-token', expiresAt: 1 }
      await writeFile(join(folder, '.credentials.json'), JSON.stringify({ claudeAiOauth: login }))
      await know({ name: 'dead', kind: 'login', folder }, second)
      const execution = await service.finished((await begin([{ text: 'x' }])).id)
      t.same([execution.status, execution.attempt, await payers(execution)], ['succeeded', 1, ['second']])
      await until(async () => {
        const [dead] = (await queue()).credentials
        return dead.name === 'dead' && /renewal was refused/.test(dead.problem ?? '')
      }, 'it is told')
    })

    const steps = [bash(HOLD), limitOf(second), limitOf(first, inSeconds(1_800)), { text: 'done' }]
    await t.test('two runs reach a limit at once: each goes on once', async (t) => {
      await free()
      await know(second)
      const both = await Promise.all([begin(steps), begin(steps)])
      await Promise.all(both.map(works))
      await know(second, third)
      await Promise.all(both.map(go))
      for (const { id } of both) {
        const execution = await service.finished(id)
        t.same([execution.status, execution.attempt], ['succeeded', 2], JSON.stringify(execution.outcome))
        t.same(await payers(execution), ['second', 'third'])
        t.equal(await readFile(place(execution, 'marks'), 'utf8'), 'made\n')
        await hasNoGap(t, execution)
      }
    })

    await t.test('each of two runs its own limit at once: nobody can pay, and nothing is lost', long, async (t) => {
      await free()
      await know(first, second)
      const pair = await Promise.all([begin(steps), begin(steps)])
      await Promise.all(pair.map(works))
      t.same(new Set((await Promise.all(pair.map(payers))).flat()), new Set(['first', 'second']))
      await Promise.all(pair.map(go))
      await until(async () => (await queue()).blockedCredentials.length === 2, 'both are reached')
      await until(async () => {
        const { running, capacity } = await queue()
        return running === 0 && capacity === 0
      }, 'nobody can pay')
      // Whoever was first may have been on the way with the other's credential: an older CLI then is past the script.
      for (const { id } of pair) {
        await call('POST', `/executions/${id}/cancel`)
        const execution = await service.finished(id)
        t.match(execution, { status: /^(cancelled|succeeded)$/, attempt: /^[12]$/ }, JSON.stringify(execution.outcome))
        await hasNoGap(t, execution)
      }
    })

    await t.test('a file that becomes wrong keeps what was, and says so', long, async (t) => {
      await know(fourth)
      t.same(await payers(await service.finished((await begin([{ text: 'x' }])).id)), ['fourth'])
      await writeFile(file, '[{')
      t.same(await payers(await service.finished((await begin([{ text: 'x' }])).id)), ['fourth'])
      await until(async () => {
        const { claude } = (await call('GET', '/health/ready')).body.parts
        return claude.status === 'degraded' && /it is not valid JSON/.test(claude.message)
      }, 'it is told')
    })

    await t.test('no value is in events, records, receipts, states or the store', async (t) => {
      const stored = await readStoredTexts(redis)
      t.ok(
        stored.some((text) => text.includes('"type":"execution.finished"')),
        'logs that have ended are read',
      )
      told.push(...stored, JSON.stringify(worker.state))
      t.ok(told.length > 20)
      t.ok(told.join('').includes('[masked]'), 'the runs have tried')
      t.notMatch(told.join('\n'), /value-that-nobody-is-told|key-of-the-environment/)
    })
  })
