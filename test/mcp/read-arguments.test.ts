// Arguments as clients of MCP really send them: what they mean is taken, what is not clear stays for the parsing to
// refuse.
import t from 'tap'
import { TOOLS } from '../../src/protocol/tools.js'
import { readArguments } from '../../src/mcp/read-arguments.js'
import { toJsonSchema } from '../../src/mcp/tool-schema.js'

const execute = toJsonSchema(TOOLS.execute.input)
const read = (given: unknown): unknown => readArguments(given, execute)

void t.test('texts stand for what the field takes, where it takes no text', async (t) => {
  t.same(
    read({ prompt: 'x', maxTurns: '30', maxBudgetUsd: '-1.5e0', partialText: 'true', json: 'false', waitSeconds: '0' }),
    { prompt: 'x', maxTurns: 30, maxBudgetUsd: -1.5, partialText: true, json: false, waitSeconds: 0 },
  )
  t.same(
    read({
      allowedTools: '["Read", "Bash"]',
      session: '{"resume": "a", "fork": "true"}',
      tasks: '["one", {"prompt": "two", "maxTurns": "3"}]',
    }),
    {
      allowedTools: ['Read', 'Bash'],
      session: { resume: 'a', fork: true },
      tasks: ['one', { prompt: 'two', maxTurns: 3 }],
    },
  )
  t.same(
    read({
      verify: { commands: '[["npm", "test"]]' },
      agents: { one: { description: 'd', prompt: '5', tools: '["Read"]' } },
    }),
    { verify: { commands: [['npm', 'test']] }, agents: { one: { description: 'd', prompt: '5', tools: ['Read'] } } },
  )
  t.same(read({ timeoutSeconds: '90' }), { timeoutSeconds: 90 })
  t.same(readArguments({ lastN: '5' }, toJsonSchema(TOOLS.verify_execution.input)), { lastN: 5 })
})

void t.test('what may be a text stays one, and so does what is not clear', async (t) => {
  for (const given of [
    { prompt: '30' },
    { prompt: 'true' },
    { prompt: '["a"]' },
    { prompt: '{"a":1}' },
    { timeoutSeconds: 'auto' },
    { model: '5' },
    { tasks: ['{"prompt":"x"}', '[1]'] },
    { metadata: { a: '5', b: 'null' } },
    { maxTurns: '' },
    { maxTurns: ' 3' },
    { maxTurns: '0x10' },
    { maxTurns: '1_000' },
    { maxTurns: 'Infinity' },
    { maxTurns: '007' },
    { json: 'True' },
    { json: '1' },
    { json: 'yes' },
    { json: 1 },
    { allowedTools: 'Read' },
    { allowedTools: '{"0":"Read"}' },
    { allowedTools: '[' },
    { session: '["a"]' },
    { session: 'null' },
    { effort: '["low"]' },
    { mcpServers: { one: { command: 'x', args: '["a"]' } } },
    { outputSchema: { type: 'object', minimum: '5', properties: null } },
    { unknown: '5' },
  ])
    t.same(read(given), given, JSON.stringify(given))
})

void t.test('null is an absent field where the field may be absent', async (t) => {
  t.same(
    read({
      prompt: 'x',
      model: null,
      maxTurns: null,
      session: { resume: 'a', fork: null },
      tasks: [{ prompt: 'y', model: null }, null],
    }),
    { prompt: 'x', session: { resume: 'a' }, tasks: [{ prompt: 'y' }, null] },
  )
  t.same(read({ session: { resume: null } }), { session: { resume: null } }, 'not where it is required')
  t.same(
    read({ metadata: { a: null }, unknown: null }),
    { metadata: { a: null }, unknown: null },
    'nor where nobody knows the field',
  )
  t.same(readArguments({ executionId: null }, toJsonSchema(TOOLS.get_execution.input)), { executionId: null })
})

void t.test("a parameter of the client's own is dropped, and only at the top", async (t) => {
  t.same(read({ prompt: 'x', wait_for_previous: true }), { prompt: 'x' })
  t.same(read({ session: { resume: 'a', wait_for_previous: true } }), {
    session: { resume: 'a', wait_for_previous: true },
  })
  for (const name of ['wait_for_execution', 'get_executor_status'] as const)
    t.same(readArguments({ wait_for_previous: false }, toJsonSchema(TOOLS[name].input)), {}, name)
  t.same(
    readArguments({ wait_for_previous: 1 }, { type: 'object', properties: { wait_for_previous: { type: 'number' } } }),
    { wait_for_previous: 1 },
    'not where the tool itself has it',
  )
})

void t.test('no arguments, others than an object, and keys of every object', async (t) => {
  t.same([undefined, null].map(read), [{}, {}])
  t.same(['x', 5, [1]].map(read), ['x', 5, [1]])
  const given: unknown = JSON.parse('{"__proto__": {"polluted": "1"}, "constructor": "5", "toString": null}')
  t.equal(JSON.stringify(read(given)), JSON.stringify(given))
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

void t.test('the limit of a wait is said in words as well: there are clients that drop `maximum`', async (t) => {
  for (const name of ['execute', 'wait_for_execution', 'cancel_execution'] as const) {
    const { waitSeconds } = TOOLS[name].input.shape
    t.match(waitSeconds.meta()?.description, /at most 45/, name)
  }
  for (const name of ['execute', 'wait_for_execution'] as const) t.match(TOOLS[name].description, /at most 45/, name)
})
