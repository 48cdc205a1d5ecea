// `cc-executor api`, `worker` and `mcp`, each a process by itself: walked by what they say of themselves.
import t, { type Test } from 'tap'
import { openMcpFolder, type McpSession } from '../mcp/harness.js'
import { CLI } from '../support/paths.js'
import { startParts, TOKENS } from './started-service.js'
import { walk } from './walk.js'

const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false

/** What each tool is called with, given what was called before; an answer of the wrong form fails in the harness. */
const TOOL_CALLS: Readonly<Record<string, (executionId: string) => Record<string, unknown>>> = {
  execute: () => ({ prompt: 'Say hello', waitSeconds: 45 }),
  wait_for_execution: (executionId) => ({ executionId, waitSeconds: 1 }),
  get_execution: (executionId) => ({ executionId }),
  verify_execution: (executionId) => ({ executionId }),
  send_message: (executionId) => ({ executionId, text: 'And now?' }),
  cancel_execution: (executionId) => ({ executionId }),
  list_approvals: () => ({ status: ['pending', 'denied'] }),
  // There is none: what is decided is the subject of test/end-to-end/approvals.test.ts.
  decide_approval: () => ({ approvalId: 'none', decision: 'deny' }),
  get_executor_status: () => ({}),
}

async function callAll(t: Test, { client, call }: McpSession): Promise<void> {
  const { tools } = await client.listTools()
  t.same(tools.map(({ name }) => name).sort(), Object.keys(TOOL_CALLS).sort(), 'every tool has its call')
  const { isError, structured } = await call('execute', TOOL_CALLS['execute']?.(''))
  t.match([isError, structured], [false, { status: 'succeeded' }])
  for (const [name, toInput] of Object.entries(TOOL_CALLS)) {
    const answer = await call(name, toInput(structured.executionId ?? structured.id))
    t.equal(answer.isError, name === 'decide_approval', `${name}: ${answer.text.slice(0, 200)}`)
    t.match(
      await call(name, { nobodyKnowsThis: true }),
      { isError: true, structured: { code: 'INVALID_REQUEST' } },
      `${name} refuses an unknown field`,
    )
  }
}

void t.test('cc-executor api, worker and mcp, each by itself, answer all that they document', async (t) => {
  const started = await startParts(t)
  await t.test('mcp answers every tool that it lists', async (t) => {
    const folder = await openMcpFolder(t, { CC_EXECUTOR_URL: started.url, CC_EXECUTOR_TOKEN: TOKENS.all })
    await callAll(t, await folder.connect({ args: [CLI, 'mcp'] }))
  })
  // The same processes as `start` has, whose walk is in every run (npm-start.test.ts).
  await t.test('the walk', { skip }, (t) => walk(t, started))
})
