// Approvals as people and agents meet them: on the command line, in the terminal, and by MCP, with and without
// elicitation, on a connection and over HTTP; one service for all, with the real CLI and the scripted model.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { InMemoryTransport } from '@modelcontextprotocol/server'
import t, { type Test } from 'tap'
import { openClient } from '../../src/client/open-client.js'
import { createMcpServer } from '../../src/mcp/create-mcp-server.js'
import { within } from '../../src/platform/abort-signals.js'
import type { Execution } from '../../src/protocol/execution.js'
import { ERAS, openHttpClient, type Era } from '../mcp/http-client.js'
import { openCommandLine } from '../support/command-line.js'
import { scripted } from '../support/environment.js'
import { CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { DEADLINE_MS, once } from '../support/deadlines.js'

const service = await openTestService(t, { apis: 2, env: { CC_EXECUTOR_PERMISSION_MODE: 'default' } })
const env = {
  CC_EXECUTOR_URL: service.url(),
  CC_EXECUTOR_TOKEN: service.token,
  CC_EXECUTOR_DATA_DIR: service.directory,
}
const command = openCommandLine(t)

const bash = (line: string): unknown => ({ tool: 'Bash', input: { command: line, description: 'a call' } })
const options = [
  { label: 'Blue', description: 'b' },
  { label: 'Red', description: 'r' },
]
const QUESTION = {
  tool: 'AskUserQuestion',
  input: { questions: [{ question: 'Which colour?', header: 'Colour', options, multiSelect: false }] },
}
const READ_BACK = { text: '${lastToolResult}' }
const isThere = (id: string, file: string): boolean => existsSync(join(service.config.workspaceRoot, id, file))

async function runAsking(steps: readonly unknown[], input: string) {
  const child = spawn(process.execPath, [CLI, 'run', '--ask', scripted(...steps)], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number]
  return { code, stdout, stderr, id: /execution (\S+)/.exec(stderr)?.[1] ?? '' }
}

void t.test('run --ask shows what is asked, and takes the answers line by line', async (t) => {
  const edit = { tool: 'Write', input: { file_path: '${cwd}/note.txt', content: 'first line\nsecond line\n' } }
  const ran = await runAsking(
    [bash('touch a.txt'), { text: 'one' }, edit, { text: 'two' }, QUESTION, READ_BACK],
    'perhaps\ny\nn not this file\n2\n',
  )
  t.equal(ran.code, 0, ran.stderr)
  t.match(ran.stderr, /Bash asks for permission\n\$ touch a\.txt/)
  t.match(ran.stderr, /Write asks for permission\n\S+note\.txt\n\+ first line\n\+ second line/, 'what it would write')
  t.match(ran.stderr, /1\. Colour: Which colour\? \(one, or a text\)\n {3}1\) Blue: b\n {3}2\) Red: r/)
  t.match(ran.stdout, /"Which colour\?"="Red"/)
  t.same([isThere(ran.id, 'a.txt'), isThere(ran.id, 'note.txt')], [true, false])
})

void t.test('run without --ask names the approval and how to decide; other commands do', async (t) => {
  const steps = scripted(
    bash('touch a.txt'),
    { text: 'one' },
    bash('touch b.txt'),
    { text: 'two' },
    QUESTION,
    READ_BACK,
  )
  const ran = await command(['run', '--on-permission-needed', 'ask', steps], env)
  t.equal(ran.code, 75)
  const [, first = ''] = / approve (\S+), or/.exec(ran.stderr) ?? []
  const [, id = ''] = / tail (\S+)/.exec(ran.stderr) ?? []
  const listed = await command(['approvals'], env)
  t.match(listed.stdout, new RegExp(`${first} +${id} +pending`))
  t.match((await command(['approvals', first], env)).stdout, /Bash asks for permission\n\$ touch a\.txt/)
  const changed = await command(['approve', first, '--input', '{"command":"touch c.txt","description":"x"}'], env)
  t.same([changed.code, changed.stdout], [0, `${first} allowed\n`])
  const second = (await service.until(id, 'approval.requested', 2)).data.approval
  t.match((await command(['deny', second.id, '--message', 'no'], env)).stdout, 'denied')
  const again = await command(['approve', second.id], env)
  t.same([again.code], [1])
  t.match(again.stderr, /The approval is denied by default since/)
  const third = (await service.until(id, 'approval.requested', 3)).data.approval
  t.equal((await command(['approve', third.id, '--answer', '3=x'], env)).code, 2)
  t.match((await command(['approve', third.id, '--answer', 'blue'], env)).stdout, 'answered')
  t.match((await service.finished(id)).outcome, { result: /"Which colour\?"="Blue"/ })
  t.same([isThere(id, 'a.txt'), isThere(id, 'b.txt'), isThere(id, 'c.txt')], [false, false, true])
  const { approvals } = JSON.parse((await command(['approvals', '--json', '--status', 'denied'], env)).stdout)
  t.match(approvals, [{ id: second.id, message: 'no', decidedBy: 'default' }])
})

type Answered = { readonly action: 'accept' | 'decline' | 'cancel'; readonly content?: Record<string, string> }

/** A client on the server of `cc-executor mcp`, on this service; `elicit` answers what it is asked. */
async function openMcp(t: Test, elicit?: (form: { message: string; properties: string[] }) => Answered) {
  const client = openClient({ url: service.url(), token: service.token })
  const access = { join: async () => client, forget: () => undefined }
  const server = createMcpServer({ access, era: 'legacy', version: '0', onFailure: (error) => t.fail(String(error)) })
  const agent = new Client({ name: 'test', version: '0' }, elicit ? { capabilities: { elicitation: {} } } : {})
  if (elicit)
    agent.setRequestHandler('elicitation/create', async ({ params }) =>
      elicit({
        message: params.message,
        properties: 'requestedSchema' in params ? Object.keys(params.requestedSchema.properties) : [],
      }),
    )
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  await Promise.all([server.connect(ours), agent.connect(theirs)])
  t.teardown(async () => {
    await agent.close()
    client.close()
  })
  return async (name: string, input: Record<string, unknown>) => {
    const { structuredContent, content } = await agent.callTool({ name, arguments: input })
    const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('')
    // Safe: the tool says so in its output schema; the test asks for what it knows.
    return { text, structured: structuredContent as Execution & Record<string, never> }
  }
}

void t.test('MCP: an agent is told what waits, and decides; nobody waits for a person by waiting', async (t) => {
  const call = await openMcp(t)
  const asked = await call('execute', {
    prompt: scripted(bash('touch a.txt'), { text: 'done' }),
    onPermissionNeeded: 'ask',
    waitSeconds: 45,
  })
  t.match(asked.structured, { isFinished: false, waitingFor: 'approval', approvals: [{ tool: 'Bash' }] })
  const [approvalId = ''] = asked.structured.pendingApprovalIds ?? []
  t.match(asked.text, new RegExp(`call decide_approval with approvalId ${approvalId}`))
  t.match((await call('list_approvals', {})).text, approvalId)
  t.match((await call('decide_approval', { approvalId, decision: 'allow' })).structured, { status: 'allowed' })
  const { id } = asked.structured
  t.match((await call('wait_for_execution', { executionId: id })).structured, { status: 'succeeded' })
  t.equal(isThere(id, 'a.txt'), true)
})

void t.test('MCP: a client that can elicit asks its user; what he leaves open stays pending', async (t) => {
  const forms: string[] = []
  const answers: Answered[] = [
    { action: 'accept', content: { decision: 'allow' } },
    { action: 'accept', content: { decision: 'deny', message: 'not b' } },
    { action: 'accept', content: { answer0: 'Red', text0: 'dark' } },
    { action: 'cancel' },
  ]
  const call = await openMcp(t, ({ message, properties }) => {
    forms.push(`${message} ${properties.join()}`)
    return answers.shift() ?? { action: 'decline' }
  })
  const { structured } = await call('execute', {
    prompt: scripted(
      bash('touch a.txt'),
      { text: 'one' },
      bash('touch b.txt'),
      { text: 'two' },
      QUESTION,
      { text: 'three' },
      bash('touch c.txt'),
      READ_BACK,
    ),
    onPermissionNeeded: 'ask',
    waitSeconds: 45,
  })
  t.match(structured, { waitingFor: 'approval', approvals: [{ input: { command: 'touch c.txt' } }] })
  t.match(forms, [/touch a\.txt[^]*decision,message$/, /touch b\.txt/, /Claude asks: answer0,text0$/, /touch c\.txt/])
  const { id } = structured
  const finished = await call('wait_for_execution', { executionId: id, waitSeconds: 45 })
  t.match(finished.structured, {
    status: 'succeeded',
    outcome: { permissionDenials: [{ by: 'default' }, { by: 'default' }] },
  })
  t.same([isThere(id, 'a.txt'), isThere(id, 'b.txt'), isThere(id, 'c.txt')], [true, false, false])
  const said = (await service.events(id)).filter(({ type }) => type === 'approval.decided').map(({ data }) => data)
  t.match(said, [
    { decision: 'allow' },
    { decision: 'deny', message: 'not b' },
    { decision: 'answer' },
    { decision: 'deny' },
  ])
})

void t.test(
  'MCP over HTTP: a form for each approval; who was faster counts, and what is left open stays',
  async (t) => {
    for (const era of ERAS) await t.test(era, (t) => askOverHttp(t, era))
  },
)

async function askOverHttp(t: Test, era: Era): Promise<void> {
  const asked: string[] = []
  const decide = (id: string, decision: string) =>
    service.call('POST', `/approvals/${id}/decision`, { body: { decision, message: 'faster' } })
  const { call } = await openHttpClient(t, {
    url: service.url(),
    token: service.token,
    era,
    // An answer is a request by itself, and may come to another process; one that decides nothing ends the asking
    // only where it is waited for.
    route: (body) => service.url('method' in JSON.parse(body) || body.includes('"cancel"') ? 0 : 1),
    async elicit({ message, fields }, signal) {
      asked.push(`${/touch \w/.exec(message)?.[0]} ${fields.join()}`)
      if (asked.length === 1) return { action: 'accept', content: { decision: 'allow' } }
      if (asked.length === 3) return { action: 'cancel' }
      const [{ id }] = (await service.call('GET', '/approvals')).body.approvals
      const gone =
        era === '2025-11-25'
          ? within(
              DEADLINE_MS,
              'the call is given up',
              new Promise((resolve) => signal.addEventListener('abort', resolve)),
            )
          : undefined
      await decide(id, 'deny')
      await gone
      return { action: 'accept', content: { decision: 'allow' } }
    },
  })
  const { structured, text } = await call('execute', {
    prompt: scripted(bash('touch a'), { text: '1' }, bash('touch b'), { text: '2' }, bash('touch c'), {
      text: 'done',
    }),
    onPermissionNeeded: 'ask',
    waitSeconds: 45,
  })
  t.same(
    asked,
    ['touch a', 'touch b', 'touch c'].map((line) => `${line} decision,message`),
  )
  t.match(structured, { isFinished: false, approvals: [{ input: { command: 'touch c' } }] })
  const { id, pendingApprovalIds } = structured
  t.match(text, `call decide_approval with approvalId ${pendingApprovalIds[0]}`)
  t.match((await call('decide_approval', { approvalId: pendingApprovalIds[0], decision: 'allow' })).isError, false)
  t.match((await call('wait_for_execution', { executionId: id, waitSeconds: 45 })).structured, {
    status: 'succeeded',
  })
  t.same(
    ['a', 'b', 'c'].map((file) => isThere(id, file)),
    [true, false, true],
  )
}
