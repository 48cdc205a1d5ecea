// Executions that begin by themselves. Time is moved, not waited for: a schedule that is set back by some hours is what
// it is after everything was down for as long.
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import type { Schedule } from '../../src/protocol/schedules.js'
import { describeSchedules } from '../../src/main/doctor/check-schedules.js'
import { createScheduleStore } from '../../src/schedules/schedule-store.js'
import { toDefinitionFields } from '../../src/schedules/stored-schedule.js'
import { openCommandLine } from '../support/command-line.js'
import { DEADLINE_MS, until } from '../support/deadlines.js'
import { HOUR_MS, HOUR_S, OWN, TOKENS, outcomes, openSchedules } from './scene.js'

const {
  service,
  call,
  redis,
  alarms,
  make,
  show,
  change,
  executionsOf,
  setBack,
  ring,
  untilShown,
  untilTold,
  comeBack,
  cancel,
} = await openSchedules(t)

void t.test('a schedule is made, shown, listed, changed, paused and removed', async (t) => {
  const body = { name: 'nightly', cron: '0 3 * * 1-5', timezone: 'Europe/Berlin', request: { prompt: 'Say hello' } }
  // What the first of its kind takes (schemas, scripts) is more than that second there.
  for (const api of [0, 1]) {
    const warm = { body: { ...body, name: 'warm' }, headers: { 'idempotency-key': 'warm' }, api }
    await until(async () => (await call('POST', '/schedules', warm)).status < 300, 'it is warm')
  }
  const [early] = (await call('GET', '/schedules')).body.schedules
  t.equal((await call('DELETE', `/schedules/${early.id}`)).status, 204)
  const headers = { 'idempotency-key': 'first' }
  const answers = await Promise.all([0, 1].map((api) => call('POST', '/schedules', { body, headers, api })))
  t.same(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 201],
    'made once',
  )
  const [one, other] = answers.map((answer) => answer.body as Schedule)
  t.same(one, other)
  const id = String(one?.id)
  t.equal(answers[0]?.headers.get('location'), `/schedules/${id}`)
  t.match(one, { ...body, id: /^sch_/, token: 'alice', overlap: 'skip', missed: 'latest', enabled: true, moments: [] })
  t.match(one?.nextRunAt, /T0[12]:00:00.000Z$/)
  t.match((await call('POST', '/schedules', { body: { ...body, cron: '0 4 * * *' }, headers })).body, {
    code: 'IDEMPOTENCY_CONFLICT',
  })
  t.match((await call('POST', '/schedules', { body })).body, {
    status: 409,
    code: 'NAME_TAKEN',
    detail: new RegExp(id),
  })

  const second = await make({ name: 'second' })
  t.match((await change(second.id, { name: 'nightly' })).body, { code: 'NAME_TAKEN' })
  const page = (await call('GET', '/schedules?limit=1')).body
  t.equal(page.schedules[0].id, second.id, 'newest first')
  t.equal((await call('GET', `/schedules?limit=1&cursor=${page.nextCursor}`)).body.schedules[0].id, id)

  const merged = (await change(id, { cron: null, everySeconds: 60, request: { metadata: { team: 'a' } } })).body
  t.match(merged, { everySeconds: 60, request: { prompt: 'Say hello', metadata: { team: 'a' } } })
  t.notOk('cron' in merged)
  const paused = (await change(id, { enabled: false })).body
  t.notOk(paused.enabled || 'nextRunAt' in paused)
  t.match((await change(id, { enabled: true })).body, { enabled: true, nextRunAt: /Z$/ })

  t.match(await show(id, { as: TOKENS.bob }), { code: 'SCHEDULE_NOT_FOUND' }, 'it is another token’s')
  t.same((await call('GET', '/schedules', { as: TOKENS.bob })).body, { schedules: [], nextCursor: null })
  for (const [method, path] of [
    ['POST', '/schedules'],
    ['PATCH', `/schedules/${id}`],
    ['DELETE', `/schedules/${id}`],
    ['POST', `/schedules/${id}/run`],
  ] as const)
    t.equal((await call(method, path, { as: TOKENS.reader, ...(method !== 'DELETE' && { body: {} }) })).status, 403)
  const ofBob = await make({ name: 'nightly' }, { as: TOKENS.bob })
  t.equal(ofBob.token, 'bob', 'a name is one token’s')
  t.match(await show(ofBob.id), { id: ofBob.id }, 'who administers finds all')

  for (const removed of [id, second.id, ofBob.id]) t.equal((await call('DELETE', `/schedules/${removed}`)).status, 204)
  t.match((await call('DELETE', `/schedules/${id}`)).body, { status: 404, code: 'SCHEDULE_NOT_FOUND' })
  t.match((await call('GET', '/schedules/nothing')).body, { code: 'SCHEDULE_NOT_FOUND' })
  const keys = ['first', 'warm'].map((key) => `{cc}:schedule-key:alice:${key}`)
  t.same((await redis.keys('{cc}:schedule[-:]*')).toSorted(), keys, 'nothing is left')
  t.equal(await alarms.getJobSchedulersCount(), 0)
  await make({ name: 'nightly' })
})

void t.test('what is wrong is named by its field', async (t) => {
  const past = '2020-01-01T00:00:00Z'
  const wrong: ReadonlyArray<readonly [field: string, message: RegExp, body: Record<string, unknown>]> = [
    ['name', /required/, { name: undefined }],
    ['name', /1 to 200/, { name: ' ' }],
    ['cron', /or everySeconds/, { everySeconds: undefined }],
    ['everySeconds', /together with cron/, { cron: '0 3 * * *' }],
    ['everySeconds', />=10/, { everySeconds: 1 }],
    ['everySeconds', /int/, { everySeconds: 60.5 }],
    ['cron', /five fields/, { everySeconds: undefined, cron: 'at three' }],
    ['cron', /no field for seconds/, { everySeconds: undefined, cron: '* * * * * *' }],
    ['cron', /no month that it names/, { everySeconds: undefined, cron: '0 0 31 2 *' }],
    ['timezone', /no time zone "Europe\/Atlantis"/, { timezone: 'Europe/Atlantis' }],
    ['timezone', /no time zone "\+02:00"/, { timezone: '+02:00' }],
    ['endAt', /in the future/, { endAt: past }],
    ['endAt', /after startAt/, { startAt: '2999-01-02T00:00:00Z', endAt: '2999-01-01T00:00:00Z' }],
    ['endAt', /no moment/, { endAt: new Date(Date.now() + HOUR_MS / 2).toISOString() }],
    ['overlap', /skip/, { overlap: 'both' }],
    ['request', /required/, { request: undefined }],
    ['request', /65536 bytes/, { request: { prompt: 'x'.repeat(70_000) } }],
    ['request.prompt', /string/, { request: { prompt: 7 } }],
    ['request.nothing', /unknown field/, { request: { prompt: 'x', nothing: 1 } }],
    ['request.workspace', /./, { request: { prompt: 'x', workspace: '../..' } }],
    ['every', /unknown field/, { every: 60 }],
  ]
  for (const [field, message, more] of wrong) {
    const body = { name: 'wrong', everySeconds: HOUR_S, request: { prompt: 'x' }, ...more }
    const answer = await call('POST', '/schedules', { body })
    t.ok(answer.status === 400 || answer.status === 413, `${field}: ${answer.text}`)
    t.match(answer.body.errors?.find(({ path }: { path: string }) => path === field)?.message, message, answer.text)
  }
  t.match(
    (await call('POST', '/schedules', { body: { name: 'x', everySeconds: 60, request: { command: 'ls' } } })).body,
    {
      code: 'COMMAND_NOT_ALLOWED',
    },
  )
  const { id } = await make()
  t.match((await change(id, { cron: '0 3 * * *' })).body, { errors: [{ path: 'everySeconds' }] })
  t.match((await change(id, { request: { prompt: null } })).body, { code: 'INVALID_REQUEST' })
  t.match(await show(id), { everySeconds: HOUR_S, request: { prompt: 'Say hello' } }, 'as it was')
})

void t.test('an alarm of BullMQ starts the execution of a moment, and only that', async (t) => {
  const request = { prompt: 'Say hello', metadata: { by: 'schedule' } }
  let [id, startAt] = ['', '']
  // On a slow machine the start may be over before it is asked for.
  for (let leadMs = 300; leadMs < DEADLINE_MS; leadMs *= 2) {
    startAt = new Date(Date.now() + leadMs).toISOString()
    const schedule = await make({ startAt, request })
    id = schedule.id
    if (schedule.nextRunAt === startAt) break
  }
  const told = await untilTold(id, 1)
  const [execution, ...others] = await executionsOf(id)
  t.same(others, [])
  t.match(execution, { scheduleId: id, status: 'queued', metadata: { by: 'schedule' } })
  const executionId = String(execution?.id)
  t.match(told.moments, [{ plannedAt: startAt, outcome: 'started', executionId, status: 'queued' }])
  t.match(told, { lastExecutionId: executionId, lastStatus: 'queued', lastRunAt: /Z$/ })
  t.equal(Date.parse(String(told.nextRunAt)), Date.parse(startAt) + HOUR_MS)
  t.equal((await alarms.getJobScheduler(id))?.next, Date.parse(startAt) + HOUR_MS, 'the next alarm is set')
  await cancel(executionId)
  t.match(await show(id), { lastStatus: 'cancelled', moments: [{ status: 'cancelled' }] })
  t.equal((await call('DELETE', `/executions/${executionId}`)).status, 204)
  const kept = await show(id)
  t.equal(kept.lastStatus, 'cancelled', 'kept when the execution is not')
  t.notOk('status' in (kept.moments[0] ?? {}))
})

void t.test('a moment starts one execution, however often and in how many processes its alarm rings', async (t) => {
  const { id } = await make()
  await setBack(id, HOUR_MS)
  await Promise.all(Array.from({ length: 12 }, () => ring(id)))
  await untilTold(id, 1)
  // Behind them all.
  const { id: last } = await make()
  await comeBack(last, 1)
  t.equal((await executionsOf(id)).length, 1)
  t.same(outcomes(await show(id)), ['started'])
  // Redis' clock was a day ahead, and is set back: what is settled stays so.
  await redis.hincrby(`{cc}:schedule:${id}`, 'after', 24 * HOUR_MS)
  await redis.zadd('{cc}:schedules-due', 0, id)
  await ring(id)
  const later = await untilShown(id, ({ nextRunAt }) => Date.parse(String(nextRunAt)) > Date.now() + 23 * HOUR_MS)
  t.same(outcomes(later), ['started'])
})

void t.test('what was decided for another place than where it stands is refused', async (t) => {
  const { id } = await make({ enabled: false })
  const limits = { prefix: 'cc', maxSchedules: 1, maxSchedulesPerToken: 1 }
  const store = createScheduleStore(redis, limits)
  const place = await store.get(id)
  if (!place) throw new Error('it was just made')
  const to = Number(place.after) + 1
  const step = { to, next: undefined, moments: [] }
  t.equal(await store.settle(place, step), true)
  t.equal(await store.settle(place, step), false)
  t.equal(await store.firstTried(place), undefined)
  t.same(await store.change(place, toDefinitionFields(place.definition, to), step), ['moved'])
  t.equal((await store.get(id))?.after, String(to))
})

void t.test('a schedule and what became of its moments are read in one step', async (t) => {
  const { id } = await make()
  const reader = redis.duplicate()
  t.teardown(() => reader.disconnect())
  const store = createScheduleStore(reader, { prefix: 'cc', maxSchedules: 1, maxSchedulesPerToken: 1 })
  await store.get(id)
  await comeBack(id, 1)
  const sent: string[] = []
  const send = reader.sendCommand.bind(reader)
  reader.sendCommand = (command, ...more) => {
    sent.push(command.name)
    return send(command, ...more)
  }
  t.match(await store.get(id), { lastStatus: 'queued', moments: [{ outcome: 'started' }] })
  t.equal(sent.length, 1, `nothing comes between ${sent.join(', ')}`)
})

void t.test('everything was down for a day', async (t) => {
  const latest = await comeBack((await make({ missed: 'latest' })).id, 24.5, 10)
  t.same(outcomes(latest), ['started', ...Array<string>(9).fill('missed')])
  t.equal((await executionsOf(latest.id)).length, 1)
  const skip = await comeBack((await make({ missed: 'skip' })).id, 24.5, 10)
  t.same(outcomes(skip), Array<string>(10).fill('missed'))
  t.same(await executionsOf(skip.id), [])
  const gaps = skip.moments.map(({ plannedAt }) => Date.parse(plannedAt))
  t.ok(
    gaps.every((at, index) => index === 0 || Number(gaps[index - 1]) - at === HOUR_MS),
    'each moment by itself',
  )
  const { id } = await make({ missed: 'all', overlap: 'queue' })
  await setBack(id, 3.5 * HOUR_MS)
  await ring(id)
  const all = await untilTold(id, 3)
  t.same(outcomes(all), ['started', 'started', 'started'])
  t.equal((await executionsOf(id)).length, 3)
  const limit = await make({ missed: 'all' })
  await setBack(limit.id, 150.5 * HOUR_MS)
  await ring(limit.id)
  await untilShown(limit.id, ({ nextRunAt }) => Date.parse(String(nextRunAt)) > Date.now())
  const [first] = await executionsOf(limit.id)
  // The others of the hundred meet the first one, which has not ended.
  t.same(outcomes(await show(limit.id)), Array<string>(10).fill('overlap'))
  t.match((await show(limit.id)).moments[0], { executionId: first?.id, message: /had not ended/ })
})

void t.test('overlap: the next moment is skipped, waits, or cancels', async (t) => {
  for (const [overlap, told, statuses] of [
    ['skip', ['overlap', 'started'], ['queued']],
    ['queue', ['started', 'started'], ['queued', 'queued']],
    ['cancel', ['started', 'started'], ['queued', 'cancelled']],
  ] as const) {
    const { id } = await make({ overlap })
    const [, second] = [await comeBack(id, 1), await comeBack(id, 1)]
    t.same(outcomes(second), told, overlap)
    const executions = await executionsOf(id)
    t.same(
      executions.map(({ status }) => status),
      statuses,
      overlap,
    )
    const locks = await Promise.all(executions.map((each) => redis.hget(`{cc}:execution:${each.id}`, 'workspaceLock')))
    t.same(
      locks,
      executions.map(() => (overlap === 'skip' ? null : id)),
      'those that wait hold one name',
    )
    if (overlap !== 'cancel') continue
    const [, cancelled] = executions
    const { events } = (await call('GET', `/executions/${String(cancelled?.id)}/events`)).body
    t.match(JSON.stringify(events), /the next moment of its schedule has come/)
  }
  const { id } = await make({ overlap: 'skip' })
  const [execution] = [await comeBack(id, 1)]
  await cancel(String(execution.lastExecutionId))
  t.same(outcomes(await comeBack(id, 1)), ['started', 'started'], 'one that has ended is in nobody’s way')
})

void t.test('run starts one now, and uses up no moment', async (t) => {
  const { id, nextRunAt } = await make({ enabled: false })
  t.equal(nextRunAt, undefined)
  const headers = { 'idempotency-key': 'now' }
  const [one, other] = [
    await call('POST', `/schedules/${id}/run`, { headers }),
    await call('POST', `/schedules/${id}/run`, { headers }),
  ]
  t.same([one.status, other.status], [202, 200])
  t.equal(one.headers.get('location'), `/executions/${one.body.id}`)
  t.match([one.body, other.body], [{ scheduleId: id }, { id: one.body.id }])
  t.match(await show(id), { lastExecutionId: one.body.id, lastStatus: 'queued', moments: [] })
})

void t.test('due moments of a schedule that is paused or planned anew are told', async (t) => {
  const { id } = await make()
  await setBack(id, 2.5 * HOUR_MS, false)
  t.same(outcomes((await change(id, { name: 'another name' })).body), [], 'a name changes nothing')
  t.same(outcomes((await change(id, { everySeconds: 2 * HOUR_S })).body), ['changed', 'changed'])
  await setBack(id, 2 * HOUR_MS, false)
  const paused: Schedule = (await change(id, { enabled: false })).body
  t.same(outcomes(paused), ['paused', 'changed', 'changed'])
  await ring(id)
  const resumed: Schedule = (await change(id, { enabled: true })).body
  t.ok(Date.parse(String(resumed.nextRunAt)) > Date.now(), 'what was while it was paused is not made up for')
  t.same(await executionsOf(id), [])
})

void t.test('a token that has ended, may no longer or cannot pay starts nothing, and is told why', async (t) => {
  const body = { name: 'owner', scopes: ['read', 'execute'], dailyBudgetTokens: 1_000 }
  const owner = (await call('POST', '/tokens', { body })).body
  const as = String(owner.secret)
  await call('POST', '/execute', { as, body: { prompt: 'takes all of the day', maxBudgetTokens: 1_000 } })
  const { id } = await make({ request: { prompt: 'x', maxBudgetTokens: 500 } }, { as })
  t.match((await comeBack(id, 1)).moments, [{ reason: 'over_budget', message: /./, outcome: 'skipped' }])
  await call('PATCH', `/tokens/${owner.id}`, { body: { scopes: ['read'] } })
  t.match((await comeBack(id, 1)).moments[0], { outcome: 'failed', code: 'FORBIDDEN', message: /execute scope/ })
  await call('PATCH', `/tokens/${owner.id}`, {
    body: { scopes: ['execute', 'read'], dailyBudgetTokens: null, expiresAt: '2999-01-01T00:00:00Z' },
  })
  await redis.hset(`{cc}:token:${owner.id}`, 'expiresAt', '1')
  t.match((await comeBack(id, 1)).moments[0], { reason: 'token_expired' })
  await redis.hset(`{cc}:token:${owner.id}`, 'expiresAt', String(Date.now() + HOUR_MS))
  const started = await comeBack(id, 1)
  t.match(started.moments[0], { outcome: 'started' }, 'it was given more time')
  await call('DELETE', `/tokens/${owner.id}`)
  const stopped = await comeBack(id, 1)
  t.match(stopped, { enabled: false, stoppedBecause: 'token_revoked', moments: [{ reason: 'token_revoked' }] })
  t.notOk('nextRunAt' in stopped)
  t.match((await change(id, { enabled: true })).body, { code: 'FORBIDDEN', detail: /revoked/ })
  t.equal(await alarms.getJobScheduler(id), undefined, 'it rings no more')
  const lost = await make()
  await redis.hset(`{cc}:schedule:${lost.id}`, 'owner', 'nobody')
  t.match((await comeBack(lost.id, 1)).moments[0], { reason: 'token_unknown' }, 'of another process’s configuration')
})

void t.test('a request that is no longer accepted is told; one that is refused for now is tried again', async (t) => {
  const wanted = await make({ request: { prompt: 'x', workspace: 'of-bob' } })
  await call('POST', '/execute', { as: TOKENS.bob, body: { prompt: 'x', workspace: 'of-bob' } })
  t.match((await comeBack(wanted.id, 1)).moments[0], { outcome: 'failed', code: 'WORKSPACE_NOT_FOUND', message: /bob/ })

  const first = (await call('POST', '/execute', { body: { prompt: 'x' } })).body as Execution
  const { id } = await make({ request: { prompt: 'x', session: { resume: first.id } } })
  await setBack(id, HOUR_MS)
  await ring(id)
  const key = `{cc}:schedule:${id}`
  await until(async () => (await redis.hexists(key, 'triedAt')) === 1, 'it was tried')
  t.same(outcomes(await show(id)), [], 'not yet')
  await redis.hset(key, 'triedAt', String(Date.now() - 2 * 60_000))
  // Whoever looks for what is due comes by itself.
  t.match((await untilTold(id, 1)).moments, [{ outcome: 'failed', code: 'SESSION_BUSY' }])
  t.equal(await redis.hexists(key, 'triedAt'), 0)
})

void t.test('an alarm that was lost is made good, and set again', async (t) => {
  const { id } = await make()
  await alarms.removeJobScheduler(id)
  await setBack(id, HOUR_MS)
  const { nextRunAt } = await untilTold(id, 1)
  const next = Date.parse(String(nextRunAt))
  await until(async () => (await alarms.getJobScheduler(id))?.next === next, 'its alarm is set again')
  t.equal((await executionsOf(id)).length, 1)
  // One that rings early: this process's clock is ahead of Redis'.
  const early = await make()
  const [job] = (await alarms.getDelayed()).filter(({ data }) => data.scheduleId === early.id)
  await job?.promote()
  await comeBack((await make()).id, 1)
  t.same(outcomes(await show(early.id)), [], 'it has waited for its moment')
})

const runCommand = openCommandLine(t)
const env: NodeJS.ProcessEnv = {
  CC_EXECUTOR_URL: service.url(),
  CC_EXECUTOR_TOKEN: TOKENS.carol,
  CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere'),
}
const cli = (...args: string[]) => runCommand(['schedule', ...args], env)

void t.test('a schedule is added, listed, shown, paused, resumed, run and removed, by its name', async (t) => {
  t.match(await cli('list'), { code: 0, stdout: '', stderr: /there is no schedule; .*schedule add makes one/ })
  const flags = ['--cron', '0 3 * * 1-5', '--timezone', 'Europe/Berlin', '--workspace', 'repo', '--label', 'team=a']
  const added = await cli('add', 'nightly', ...flags, '--overlap', 'queue', 'Say hello')
  t.match(added, { code: 0, stdout: /^sch_[0-9a-f]{32} {2}nightly {2}0 3 \* \* 1-5 Europe\/Berlin {2}next 2/ })
  t.equal((await cli('list')).stdout, added.stdout)
  const shown: Schedule = JSON.parse((await cli('show', 'nightly', '--json')).stdout)
  t.match(shown, {
    overlap: 'queue',
    request: { prompt: 'Say hello', workspace: 'repo', metadata: { team: 'a' } },
  })
  const ran = await cli('run', 'nightly')
  t.match(ran, { code: 0, stdout: /^[0-9a-f-]{36}\n$/ })
  const executionId = ran.stdout.trim()
  t.match(await runCommand(['list', '--schedule', shown.id], env), { stdout: new RegExp(`^${executionId}`) })
  t.match(await runCommand(['show', executionId], env), { stdout: new RegExp(`^schedule +${shown.id}$`, 'm') })
  t.match((await cli('show', shown.id)).stdout, new RegExp(`^last +\\S+ +${executionId} +queued$`, 'm'))
  t.match(await cli('pause', 'nightly'), { code: 0, stdout: `paused  ${shown.id}  nightly\n` })
  t.match((await cli('list')).stdout, /paused +last queued/)
  t.match(await cli('resume', 'nightly'), { code: 0, stdout: `resumed  ${shown.id}  nightly\n` })
  t.match(await cli('remove', 'nightly'), { code: 0, stdout: `removed  ${shown.id}\n` })
  t.match(await cli('show', shown.id), { code: 1, stderr: /There is no schedule/ })
  const every = await cli('add', 'often', '--every', '6h', '--paused', '--start-at', '2999-01-01', '--json', 'x')
  t.match(JSON.parse(every.stdout), { everySeconds: 21_600, enabled: false, startAt: '2999-01-01T00:00:00.000Z' })
})

void t.test('what is wrong with a call is said, with the flag', async (t) => {
  for (const [args, sentence] of [
    [[], /expected add NAME, list, show ID/],
    [['add'], /expected add NAME/],
    [['add', 'x', 'prompt'], /either --cron or --every/],
    [['add', 'x', '--every', '5', 'prompt'], /--every: expected 45s/],
    [['add', 'x', '--every', '1h', '--start-at', 'soon', 'prompt'], /--start-at: expected a date/],
    [['add', 'x', '--every', '1s', 'prompt'], /everySeconds/],
    [['add', 'x', '--cron', '0 3 * *', 'prompt'], /cron: expected five fields/],
    [['show', 'nothing'], /there is no schedule "nothing"/],
    [['list', '--every', '1h'], /list takes --json and --url only/],
    [['pause', 'a', 'b'], /pause takes one ID/],
  ] as const)
    t.match(await cli(...args), { code: 2, stderr: sentence }, args.join(' '))
})

void t.test('doctor names those that start nothing any more', async (t) => {
  const owner = (await call('POST', '/tokens', { body: { name: 'leaving', scopes: ['read', 'execute'] } })).body
  const revoked = await make({}, { as: String(owner.secret) })
  await call('DELETE', `/tokens/${owner.id}`)
  const unknown = await make()
  await redis.hset(`{cc}:schedule:${unknown.id}`, 'owner', 'nobody')
  const well = await make()
  const found = await Promise.all([revoked, unknown, well].map(({ id }) => comeBack(id, 1)))
  t.match(describeSchedules(found, Date.now()), {
    status: 'warning',
    message: /token_revoked.*token_unknown|token_unknown.*token_revoked/,
    remedy: /schedule show/,
  })
  const healthy = found.slice(-1)
  t.match(describeSchedules(healthy, Date.now()), { status: 'ok' })
  t.match(describeSchedules(healthy, Date.now() + 48 * HOUR_MS), { status: 'warning', message: /overdue since/ })
  t.equal(describeSchedules([], Date.now()), undefined)
})

void t.test('of one token there are so many', async (t) => {
  const count = (await call('GET', '/schedules?limit=200', { as: TOKENS.bob })).body.schedules.length
  await Promise.all(Array.from({ length: OWN - count }, () => make({}, { as: TOKENS.bob })))
  const body = { name: 'too many', everySeconds: 60, request: { prompt: 'x' } }
  t.match((await call('POST', '/schedules', { body, as: TOKENS.bob })).body, {
    code: 'RATE_LIMITED',
    detail: /CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN/,
  })
})
