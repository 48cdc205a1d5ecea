// JSON mode: the answer is held against its schema by the server, whatever the model claims and the CLI calls a
// success.
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { SCRIPTED_CLI } from '../support/paths.js'

const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, n: { type: 'integer', minimum: 1 } },
  required: ['name', 'n'],
  additionalProperties: false,
}
const RIGHT = { name: 'ada', n: 4 }
const ALL = process.env['CC_EXECUTOR_TEST_ALL'] === '1'

t.jobs = 4
const service = await openTestService(t)
const quick = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
const run = async (steps: unknown[], more: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit({ prompt: scripted(...steps), ...more })).id)
/** What a CLI claims that checks nothing, as its end. */
const claim = (result: Record<string, unknown>): string =>
  JSON.stringify([
    {
      line: {
        type: 'result',
        subtype: 'success',
        is_error: false,
        result: '',
        num_turns: 1,
        usage: {},
        total_cost_usd: 0,
        ...result,
      },
    },
    { eof: true },
  ])
const runQuick = async (body: Record<string, unknown>): Promise<Execution> =>
  quick.finished((await quick.submit(body)).id)
const turnsOf = async ({ id }: Execution, of = service): Promise<number> =>
  (await of.events(id)).filter(
    ({ type, data }) => type === 'claude.message' && (data as { message: { type: string } }).message.type === 'result',
  ).length

void t.test('an answer that matches is the result, as an object', async (t) => {
  // What the CLI itself refused and the model then corrected is no fault.
  const steps = [{ text: 'Thinking.' }, { structured: { name: 5 } }, { structured: RIGHT }]
  const execution = await run(steps, { outputSchema: SCHEMA })
  t.match(execution, { status: 'succeeded', outcome: { result: RIGHT } })
  const answer = await service.call('GET', `/executions/${execution.id}/result`)
  t.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
  t.equal(answer.text, `${JSON.stringify(RIGHT)}\n`)
  const finished = (await service.events(execution.id)).at(-1)
  t.match(finished, { type: 'execution.finished', data: { outcome: { result: RIGHT } } })
  const receipt = JSON.parse((await service.call('GET', `/executions/${execution.id}/receipt`)).text) as unknown
  const events = (
    await service.call('GET', `/executions/${execution.id}/events`, { headers: { accept: 'application/x-ndjson' } })
  ).text
  t.match(
    (await service.call('POST', '/receipts/verify', { body: { receipt, events } })).body,
    { valid: true },
    'the receipt holds the object',
  )
  t.match(
    (await service.events(execution.id)).find(({ type }) => type === 'execution.started'),
    { data: { argv: /--json-schema=<\d+ bytes>/ } },
  )
})

void t.test('a schema may name its dialect, which the CLI is not told', async (t) => {
  const dialects = [
    'https://json-schema.org/draft/2019-09/schema',
    'http://json-schema.org/draft-06/schema#',
    'http://json-schema.org/draft-07/schema#',
    'https://json-schema.org/draft/2020-12/schema',
  ]
  for (const $schema of dialects.slice(0, ALL ? undefined : 1)) {
    t.match(
      await run([{ structured: RIGHT }], { outputSchema: { $schema, ...SCHEMA } }),
      { status: 'succeeded', outcome: { result: RIGHT } },
      $schema,
    )
  }
})

void t.test('a model that only talks is asked again in the same session, and its repaired answer counts', async (t) => {
  // The CLI reminds it once by itself, and then calls it a success.
  const execution = await run(
    [{ text: 'Ada, four.' }, { turn: true }, { text: 'I said: Ada, four.' }, { turn: true }, { structured: RIGHT }],
    { outputSchema: SCHEMA },
  )
  t.match(execution, { status: 'succeeded', outcome: { result: RIGHT } })
  t.equal(await turnsOf(execution), 2, 'two results in one session')
  t.equal(execution.attempt, 1)
})

void t.test('a model that goes on talking fails, and what it said is kept', async (t) => {
  const talk = [
    { text: 'Ada.' },
    { turn: true },
    { text: 'Ada, I say.' },
    { turn: true },
    { text: 'Ada!' },
    { turn: true },
    { text: 'Still Ada.' },
  ]
  const execution = await run(talk, { outputSchema: SCHEMA })
  t.match(execution, {
    status: 'failed',
    outcome: { code: 'OUTPUT_INVALID', message: /is not valid JSON/, result: 'Still Ada.', isPartial: true },
  })
  t.equal(await turnsOf(execution), 2)
  const unrepaired = await runQuick({ prompt: claim({ result: 'Ada, I say.' }), outputSchema: SCHEMA, maxRepairs: 0 })
  t.match(unrepaired, { status: 'failed', outcome: { code: 'OUTPUT_INVALID', result: 'Ada, I say.' } })
  t.equal(await turnsOf(unrepaired, quick), 1)
  const answer = await service.call('GET', `/executions/${execution.id}/result`)
  t.match(answer, { status: 422, body: { code: 'OUTPUT_INVALID' } })
})

void t.test('an answer that is JSON in text is taken where it matches', async (t) => {
  t.match(
    await run([{ text: JSON.stringify(RIGHT) }, { turn: true }, { text: JSON.stringify(RIGHT) }], {
      outputSchema: SCHEMA,
    }),
    { status: 'succeeded', outcome: { result: RIGHT } },
  )
})

void t.test('a reference at the root, as generators write it, stands for what it refers to', async (t) => {
  const named = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $ref: '#/definitions/Node~1of',
    definitions: {
      'Node/of': {
        type: 'object',
        properties: { n: { type: 'integer' }, next: { $ref: '#/definitions/Node~1of' } },
        required: ['n'],
        additionalProperties: false,
      },
    },
  }
  const right = { n: 1, next: { n: 2 } }
  t.match(await run([{ structured: right }], { outputSchema: named }), {
    status: 'succeeded',
    outcome: { result: right },
  })
  const prompt = claim({ structured_output: { n: 1, next: { n: 'two' } } })
  const wrong = await runQuick({ prompt, outputSchema: named, maxRepairs: 0 })
  t.match(wrong, { status: 'failed', outcome: { code: 'OUTPUT_INVALID' } })
})

void t.test('what the CLI cannot enforce the server does: formats, and what 2020-12 added', async (t) => {
  const schema = {
    type: 'object',
    $defs: { day: { type: 'string', format: 'date' } },
    properties: { days: { type: 'array', prefixItems: [{ $ref: '#/$defs/day' }], items: false } },
    required: ['days'],
  }
  // With such a schema the CLI by itself offers no StructuredOutput at all, and says nothing.
  const execution = await run([{ structured: { days: ['tomorrow'] } }, { structured: { days: ['2026-11-22'] } }], {
    outputSchema: schema,
  })
  t.match(execution, { status: 'succeeded', outcome: { result: { days: ['2026-11-22'] } } })
})

void t.test('JSON mode has a schema of its own, whose uuid is the execution’s and never patched in', async (t) => {
  const answer = { result: 'done', files_created: [], files_modified: [], summary: 'Nothing was to do.' }
  const wrong = { ...answer, execution_uuid: '00000000-0000-7000-8000-000000000000' }
  const execution = await run(
    Array.from({ length: 5 }, () => ({ structured: wrong })),
    { json: true },
  )
  t.match(execution, {
    status: 'failed',
    outcome: {
      code: 'OUTPUT_INVALID',
      message: /\/execution_uuid must be equal to constant \(".+"\), was "0{8}-.*; the CLI refused it five times\./,
      result: JSON.stringify(wrong),
      isPartial: true,
    },
  })

  // The scripted CLI echoes it, as a CLI would that checks nothing.
  t.match(await runQuick({ prompt: claim({ structured_output: wrong }), json: true, maxRepairs: 0 }), {
    status: 'failed',
    outcome: { code: 'OUTPUT_INVALID', message: /\/execution_uuid must be equal to constant/ },
  })
  const honest = await quick.submit({ prompt: JSON.stringify([{ echoUuid: answer }, { eof: true }]), json: true })
  t.match(await quick.finished(honest.id), {
    status: 'succeeded',
    outcome: { result: { ...answer, execution_uuid: honest.id } },
  })
})

void t.test(
  'what is wrong is named by its place and its value, by the server and after the CLI’s own tries',
  async (t) => {
    // After the CLI's own: above, for the uuid.
    const steps = Array.from({ length: 5 }, () => ({ structured: { name: 'ada', n: 'seven' } }))
    if (ALL)
      t.match(await run(steps, { outputSchema: SCHEMA }), {
        status: 'failed',
        outcome: {
          code: 'OUTPUT_INVALID',
          message: /: \/n must be integer, was "seven"; the CLI refused it five times\. /,
        },
      })
    const unseen = claim({ structured_output: { name: { first: 'a' }, n: 0, more: 1 } })
    const { outcome } = await runQuick({ prompt: unseen, outputSchema: SCHEMA, maxRepairs: 0 })
    for (const fault of [
      'the answer must NOT have additional properties ("more"); ',
      '/name must be string, was an object; ',
      '/n must be >= 1, was 0.',
    ])
      t.ok(outcome?.message?.includes(fault), `${fault} ${outcome?.message}`)
  },
)

void t.test('a command may carry the schema', async (t) => {
  const command = `claude -p '${claim({ structured_output: RIGHT })}' --json-schema '${JSON.stringify(SCHEMA)}'`
  t.match(await runQuick({ command }), { status: 'succeeded', outcome: { result: RIGHT } })
})

void t.test('a schema that nothing could be held against is refused at submission, by name', async (t) => {
  const refused = async (more: Record<string, unknown>, path: string, message: RegExp, status = 400): Promise<void> => {
    const answer = await service.call('POST', '/execute', { body: { prompt: 'x', ...more } })
    t.match(answer, { status, body: { errors: [{ path, message }] } })
  }
  await refused(
    { outputSchema: { ...SCHEMA, $schema: 'https://example.com/mine' } },
    'outputSchema',
    /"\$schema".*2020-12.*draft-07/,
  )
  for (const outputSchema of [
    { $ref: 'https://example.com/schema.json' },
    { $ref: '#/$defs/missing' },
    { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
    { $ref: '#/$defs/a', $defs: { a: { type: 'object' } }, required: ['n'] },
  ])
    await refused({ outputSchema }, 'outputSchema', /"\$ref" at its root.*write that schema at the root/)
  await refused(
    { outputSchema: { $ref: '#/$defs/a', $defs: { a: { type: 'array' } } } },
    'outputSchema',
    /"type": "object"/,
  )
  await refused({ outputSchema: { type: 'array' } }, 'outputSchema', /"type": "object"/)
  await refused(
    { outputSchema: { type: 'object', properties: { a: { type: 'nonsense' } } } },
    'outputSchema',
    /not a valid JSON Schema/,
  )
  await refused(
    { outputSchema: { type: 'object', properties: { a: { $ref: 'https://example.com/schema.json' } } } },
    'outputSchema',
    /can't resolve reference/,
  )
  await refused(
    { outputSchema: { type: 'object', properties: { a: { type: 'string', pattern: '(' } } } },
    'outputSchema',
    /not a valid JSON Schema/,
  )
  await refused(
    { outputSchema: { type: 'object', description: 'x'.repeat(130_000) } },
    'outputSchema',
    /not be longer/,
    413,
  )
  await refused({ outputSchema: 'text' }, 'outputSchema', /./)
  await refused({ outputSchema: SCHEMA, json: false }, 'json', /outputSchema/)
  await refused({ json: true, maxRepairs: 9 }, 'maxRepairs', /./)
})
