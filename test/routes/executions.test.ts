// Executions as a resource: lists, results, controls, deletion, receipts and files.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { closeRedis, openRedis } from '../../src/platform/redis.js'
import { createLogger } from '../../src/platform/logger.js'
import type { Execution } from '../../src/protocol/execution.js'
import { UNKNOWN, openRest, numbers } from './scene.js'
import { until } from '../support/deadlines.js'

const { service, call, submit, finished, run, held } = await openRest(t)

void t.test('GET /executions filters, pages and exports; parameters it does not know are named', async (t) => {
  const label = { batch: 'list' }
  const started = new Date().toISOString()
  const made = await Promise.all(
    numbers(1, 7).map((index) =>
      submit({
        prompt: index === 3 ? `=1+1 ${'long '.repeat(100)}` : `number ${index}`,
        metadata: { ...label, index: String(index) },
      }),
    ),
  )
  const last = await held({ metadata: label })
  for (const { id } of made) await finished(id)
  const newestFirst = [...made.map(({ id }) => id), last.id].sort().toReversed()
  const list = async (query: string): Promise<string[]> =>
    (await call('GET', `/executions?${query}`)).body.executions.map(({ id }: Execution) => id)

  t.same(await list('metadata.batch=list'), newestFirst)
  t.same(
    await list('metadata.batch=list&metadata.index=4'),
    made.filter(({ metadata }) => metadata['index'] === '4').map(({ id }) => id),
  )
  t.same(await list('metadata.batch=list&status=running'), [last.id])
  t.same(await list('metadata.batch=list&status=succeeded,running'), newestFirst)
  t.same(await list('metadata.batch=list&status=failed'), [])
  t.same(await list(`createdAfter=${started}&metadata.batch=list`), newestFirst)
  t.same(await list(`createdBefore=${started}&metadata.batch=list`), [])
  t.notOk(
    (
      await list(
        `createdAfter=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString().replace('Z', '+00:00'))}`,
      )
    ).length,
  )

  const paged: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await call(
      'GET',
      `/executions?metadata.batch=list&limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`,
    )
    t.ok(body.executions.length <= 3)
    paged.push(...body.executions.map(({ id }: Execution) => id))
    cursor = body.nextCursor
  }
  t.same(paged, newestFirst, 'three pages')

  const csv = await call('GET', '/executions?metadata.batch=list', { headers: { accept: 'text/csv' } })
  t.match(csv.headers.get('content-type'), /^text\/csv/)
  const rows = csv.text.trimEnd().split('\n')
  t.equal(rows.length, 9)
  t.match(rows[0], /^id,status,code,createdAt/)
  t.ok(
    rows.some((row) => row.includes(",'=1+1")),
    'no formula',
  )
  const lines = (
    await call('GET', '/executions?metadata.batch=list', { headers: { accept: 'application/x-ndjson' } })
  ).text
    .trimEnd()
    .split('\n')
  t.same(
    lines.map((line) => (JSON.parse(line) as Execution).id),
    newestFirst,
  )
  t.equal(
    (await call('GET', '/executions?metadata.batch=list&format=ndjson&limit=2')).text.trimEnd().split('\n').length,
    2,
  )
  t.match((await call('GET', '/executions?format=csv&metadata.batch=list')).text, /^id,status/)
  const shortened = (await call('GET', '/executions?metadata.index=3')).body.executions[0]
  t.ok(shortened.request.prompt.length < 210)
  t.ok((await call('GET', `/executions/${shortened.id}`)).body.request.prompt.length > 500)

  const unacceptable: Array<[string, string]> = [
    ['stauts=failed', 'stauts'],
    ['status=done', 'status[0]'],
    ['q=', 'q'],
    [`q=${'x'.repeat(257)}`, 'q'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['limit=2x', 'limit'],
    ['cursor=x', 'cursor'],
    ['createdAfter=yesterday', 'createdAfter'],
    ['toString=x', 'toString'],
    ['format=xml', 'format'],
  ]
  for (const [query, path] of unacceptable) {
    t.match(
      (await call('GET', `/executions?${query}`)).body,
      { status: 400, code: 'INVALID_REQUEST', errors: [{ path }] },
      query,
    )
  }
  t.match((await call('GET', '/executions', { headers: { accept: 'image/png' } })).body, {
    status: 406,
    code: 'NOT_ACCEPTABLE',
  })
  t.same(
    (await call('GET', '/executions?metadata.batch=list', { as: 'bob' })).body,
    { executions: [], nextCursor: null },
    'each token sees its own',
  )
  await last.release()
  await finished(last.id)
  for (const format of ['csv', 'ndjson'])
    for (const [filter, code] of [
      [`parentId=${UNKNOWN}`, 'EXECUTION_NOT_FOUND'],
      ['kind=task', 'INVALID_REQUEST'],
    ] as const)
      t.match((await call('GET', `/executions?${filter}&format=${format}`)).body, { code }, `${format}, ${filter}`)
})

void t.test(
  'GET /executions?q= finds the text of prompts, commands and tasks, whatever its case and place',
  async (t) => {
    const metadata = { batch: 'query' }
    const filler = 'and so on '.repeat(200)
    const ids = new Map<string, string>()
    for (const [name, task] of Object.entries({
      short: { prompt: 'Rename the Müller module' },
      long: { prompt: `${filler} then mend the FLUX capacitor` },
      command: { command: 'claude -p "look for the flux here"' },
      list: { tasks: ['one', 'two', 'three', 'four', `${filler} the flux of tasks`] },
      // What a list shows in place of the rest of a prompt is no part of it; nor is what else a request says.
      other: { prompt: filler, appendSystemPrompt: 'Mind the flux.' },
    }))
      ids.set(name, (await submit({ ...task, metadata })).id)
    for (const id of ids.values()) await finished(id)
    const names = async (query: string): Promise<string[]> => {
      const { body } = await call('GET', `/executions?metadata.batch=query&${query}`)
      t.equal(body.nextCursor, null)
      const found = new Set(body.executions.map(({ id }: Execution) => id))
      return [...ids].filter(([, id]) => found.has(id)).map(([name]) => name)
    }
    t.same(await names('q=flux'), ['long', 'command', 'list'])
    t.same(await names('q=FLUX%20capacitor'), ['long'])
    t.same(await names('q=m%C3%BCller'), ['short'])
    t.same(await names(`q=${encodeURIComponent('MU\u0308LLER')}`), ['short'], 'written with a combining mark')
    t.same(await names(`q=${encodeURIComponent('and…')}`), [])
    t.same(await names('q=.*'), [], 'it is text, no pattern')
    t.same(await names('q=flux&kind=task_list'), ['list'])
    t.same(await names('q=flux&status=failed'), [])
    t.same(
      (await call('GET', `/executions?parentId=${ids.get('list')}&q=flux`)).body.executions.map(
        ({ taskIndex }: Execution) => taskIndex,
      ),
      [4],
      'among the tasks of a list',
    )
    t.equal(
      (await call('GET', '/executions?metadata.batch=query&q=flux&format=csv')).text.trimEnd().split('\n').length,
      4,
      'an export, too',
    )
    t.same((await call('GET', '/executions?q=flux', { as: 'bob' })).body.executions, [], 'each token finds its own')
  },
)

void t.test('a search of long prompts reads so much for a page, and its cursor leads on to the rest', async (t) => {
  const metadata = { batch: 'bounded' }
  const made: Execution[] = []
  for (const word of ['needle', 'other', 'needle'])
    made.push(await submit({ prompt: `${'x'.repeat(4_100_000)} ${word}`, metadata }))
  for (const { id } of made) await finished(id)
  const pages: string[][] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await call(
      'GET',
      `/executions?metadata.batch=bounded&q=needle&limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`,
    )
    pages.push(body.executions.map(({ id }: Execution) => id))
    cursor = body.nextCursor
  }
  t.ok(pages.length > 1, `pages of ${pages.map(({ length }) => length).join(', ')}`)
  t.same(pages.flat(), [made[2]?.id, made[0]?.id])
})

void t.test('an execution that is not there, or somebody else’s, is 404 on every path', async (t) => {
  const { id } = await run({ prompt: 'mine' })
  for (const [target, as] of [
    [UNKNOWN, 'alice'],
    [id, 'bob'],
  ] as const) {
    for (const path of ['', '/events', '/result'])
      t.match(
        (await call('GET', `/executions/${target}${path}`, { as })).body,
        { status: 404, code: 'EXECUTION_NOT_FOUND' },
        `GET ${path}`,
      )
    for (const control of ['cancel', 'pause', 'resume'])
      t.match(
        (await call('POST', `/executions/${target}/${control}`, { as })).body,
        { status: 404, code: 'EXECUTION_NOT_FOUND' },
        control,
      )
    t.match((await call('DELETE', `/executions/${target}`, { as })).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
    t.match(
      (await call('GET', `/executions/${target}/events`, { as, headers: { accept: 'text/event-stream' } })).body,
      { status: 404 },
    )
  }
  t.match((await call('GET', '/executions/not-an-id')).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
  t.equal((await call('GET', `/executions/${id}`)).status, 200)
})

void t.test('the result is the bare answer, or the reason why there is none', async (t) => {
  const { id } = await run({ prompt: 'plain é 🙂' })
  const answer = await call('GET', `/executions/${id}/result`)
  t.match(
    [answer.status, answer.text, answer.headers.get('content-type')],
    [200, 'heard: plain é 🙂', /^text\/plain; charset=utf-8/],
  )
  t.match(answer.headers.get('vary'), /Accept/)
  const asShell = (agent: string, accept: string): Promise<string> =>
    call('GET', `/executions/${id}/result`, { headers: { 'user-agent': agent, accept } }).then(({ text }) => text)
  for (const agent of ['curl/8.14.1', 'Wget/1.25.0', 'HTTPie/3.2.4'])
    t.equal(await asShell(agent, '*/*'), 'heard: plain é 🙂\n', `a line of its own: ${agent}`)
  for (const accept of ['text/plain', 'application/json, Text/Plain;q=0.9, */*'])
    t.equal(await asShell('curl/8.14.1', accept), 'heard: plain é 🙂', `to the byte for a program: ${accept}`)
  const receipt = await call('GET', `/executions/${id}/receipt`)
  t.equal(receipt.body.result.sha256, createHash('sha256').update('heard: plain é 🙂').digest('hex'))
  t.notOk(receipt.text.endsWith('\n'), 'the bytes of a receipt are hashed too')
  const markdown = await call('GET', `/executions/${id}/receipt`, { headers: { accept: 'text/markdown' } })
  t.match(markdown.text, /[^\n]\n$/)
  for (const path of [`/executions/${id}/events`, '/openapi.json', '/health', '/nowhere'])
    t.match((await call('GET', path)).text, /\}\n$/, path)
  const running = await held()
  t.match((await call('GET', `/executions/${running.id}/result`)).body, {
    status: 409,
    code: 'NOT_FINISHED',
    retryable: true,
  })
  const waiting = call('GET', `/executions/${running.id}/result?waitSeconds=60`)
  await running.release()
  t.equal((await waiting).text, 'released')
  const failed = await run({ prompt: '[{"exit":7}]' })
  t.match((await call('GET', `/executions/${failed.id}/result`)).body, {
    status: 422,
    code: 'CLAUDE_EXITED',
    outcome: { status: 'failed', code: 'CLAUDE_EXITED', exitCode: 7 },
  })
})

void t.test('cancel, pause and resume answer by what the execution is', async (t) => {
  const { id } = await run({ prompt: 'over' })
  const before = (await call('GET', `/executions/${id}`)).body
  const cancelled = await call('POST', `/executions/${id}/cancel`)
  t.equal(cancelled.status, 200)
  t.same(cancelled.body, before, 'unchanged')
  for (const control of ['pause', 'resume'])
    t.match((await call('POST', `/executions/${id}/${control}`)).body, { status: 409, code: 'ALREADY_FINISHED' })
  t.match((await call('POST', `/executions/${id}/cancel`, { body: { reson: 'x' } })).body, {
    status: 400,
    errors: [{ path: 'reson' }],
  })
  t.equal((await call('POST', `/executions/${id}/cancel`, { body: {} })).status, 200)
})

void t.test('DELETE forgets a finished execution: folder, keys, Idempotency-Key and all', async (t) => {
  const execution = await held()
  t.match((await call('DELETE', `/executions/${execution.id}`)).body, { status: 409, code: 'NOT_FINISHED' })
  await execution.release()
  const redis = openRedis({ url: service.redis.url, logger: createLogger('silent', 'test'), role: 'keeper' })
  t.teardown(() => closeRedis(redis))
  const ids = [execution.id]
  // Deleted at the very moment at which they end: the worker still has their jobs in its hands.
  for (const key of numbers(1, 8)) {
    const made = await call('POST', '/execute', {
      body: { prompt: `forget ${key}`, workspace: key === 1 ? 'stays' : undefined },
      headers: { 'idempotency-key': `forget-${key}` },
    })
    ids.push(made.body.id)
  }
  for (const id of ids) {
    let answer = await call('DELETE', `/executions/${id}`)
    for (const end = Date.now() + 60_000; answer.status === 409 && Date.now() < end;)
      answer = await call('DELETE', `/executions/${id}`)
    t.equal(answer.status, 204)
    t.match((await call('DELETE', `/executions/${id}`)).body, { status: 404 })
    t.match((await call('GET', `/executions/${id}`)).body, { status: 404 })
  }
  const again = await call('POST', '/execute', {
    body: { prompt: 'another one' },
    headers: { 'idempotency-key': 'forget-1' },
  })
  t.equal(again.status, 202, 'the key is free')
  await finished(again.body.id)

  const left = async (): Promise<string[]> => {
    const keys = await redis.keys('*')
    const members = await Promise.all(
      keys.map(async (key) => {
        const kind = await redis.type(key)
        const values =
          kind === 'zset'
            ? await redis.zrange(key, '0', '-1')
            : kind === 'set'
              ? await redis.smembers(key)
              : kind === 'list'
                ? await redis.lrange(key, 0, -1)
                : kind === 'string'
                  ? [await redis.get(key)]
                  : []
        return values.map((value) => `${key} ${value}`)
      }),
    )
    const folders = ids
      .flatMap((id) => [join(service.config.workspaceRoot, id), join(service.config.dataDir, 'sessions', id)])
      .filter((path) => existsSync(path))
    return [...keys, ...members.flat(), ...folders].filter((name) => ids.some((id) => name.includes(id)))
  }
  // BullMQ closes its own books of a job a moment after the end has been told.
  await until(async () => (await left()).length === 0, 'nothing bears their ids any more')
  t.ok(existsSync(join(service.config.workspaceRoot, 'stays')), 'a named workspace stays')
})

void t.test('a receipt, its check and the keys', async (t) => {
  const { id } = await run({ prompt: 'for the record' })
  const receipt = await call('GET', `/executions/${id}/receipt`)
  t.match([receipt.status, receipt.body], [200, { executionId: id, outcome: { status: 'succeeded' } }])
  t.match((await call('POST', '/receipts/verify', { body: { receipt: receipt.text } })).body, {
    valid: true,
    mismatches: [],
  })
  t.match((await call('GET', '/receipts/keys')).body, { keys: [{ kid: String }] })
})

void t.test('the files that a run left, listed, one by one and together', async (t) => {
  const result = { line: { type: 'result', is_error: false, subtype: 'success', result: 'made' } }
  const { id } = await run({ prompt: JSON.stringify([{ tool: 'printf made > made.bin' }, result]) })
  t.match((await call('GET', `/executions/${id}/files`)).body, {
    created: 1,
    files: [{ path: 'made.bin', change: 'created', content: 'kept' }],
  })
  t.match(await call('GET', `/executions/${id}/files/made.bin`), { status: 200, text: 'made' })
  t.match(await call('GET', `/executions/${id}/files/nothing`), { status: 404, body: { code: 'FILE_NOT_FOUND' } })
  t.match(await call('GET', `/executions/${id}/files.tar.gz`), { status: 200 })
})
