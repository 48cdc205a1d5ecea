// The command line as a user meets it: a real service, the real CLI and the scripted model; in real processes where the
// process is the subject, and what commands print by openCommandLine.
import { createServer } from 'node:http'
import { toFlags } from '../../src/cli/flag-words.js'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Event } from '../../src/protocol/events.js'
import type { Execution } from '../../src/protocol/execution.js'
import type { UsageReport } from '../../src/protocol/usage.js'
import { scripted } from '../support/environment.js'
import { openCommandLine } from '../support/command-line.js'
import { findLastingPort } from '../support/ports.js'
import { openTestService } from '../support/service.js'
import { once } from '../support/deadlines.js'
import { openCli, startCli } from './scene.js'

const runCommand = openCommandLine(t)
const service = await openTestService(t, { env: { CC_EXECUTOR_NETWORK_HOSTS: 'a.example,*.b.example' } })

// The first of all: its lists are of everything that there is.
void t.test('one execution, seen in every way', async (t) => {
  const { run } = openCli(t, runCommand, service)
  const flags = [
    '--metadata',
    'team=docs',
    '--metadata',
    'note=a=b',
    '--allowed-tools',
    'Read,Bash(git log:*, -p)',
    '--allowed-tools',
    'WebFetch',
    '--max-turns',
    '3',
    '--max-budget-usd',
    '1.5',
    '--timeout',
    '90',
    '--priority',
    'high',
    '--permission-mode',
    'plan',
    '--on-permission-denied',
    'fail',
    '--sandbox',
    'workspace',
    '--network-host',
    'a.example',
    '--network-host',
    '*.b.example',
    '--workspace',
    'shop',
    '--append-system-prompt',
    'Be short.',
  ]
  const prompt = scripted({ text: 'Hello world', chunks: 3 })

  const json = await run(['run', '--json', ...flags, prompt])
  t.equal(json.code, 0, json.stderr)
  const execution = JSON.parse(json.stdout) as Execution
  t.match(execution, {
    status: 'succeeded',
    outcome: { result: 'Hello world' },
    metadata: { team: 'docs', note: 'a=b' },
  })
  t.same(execution.request, {
    prompt,
    metadata: { team: 'docs', note: 'a=b' },
    allowedTools: ['Read', 'Bash(git log:*, -p)', 'WebFetch'],
    maxTurns: 3,
    maxBudgetUsd: 1.5,
    timeoutSeconds: 90,
    priority: 'high',
    sandbox: 'workspace',
    network: { hosts: ['a.example', '*.b.example'] },
    permissionMode: 'plan',
    onPermissionDenied: 'fail',
    workspace: 'shop',
    appendSystemPrompt: 'Be short.',
  })
  const { id } = execution

  const events = await run(['run', '--events', scripted({ text: 'a b c', chunks: 3 })])
  t.equal(events.code, 0)
  t.equal(events.stderr, '')
  const lines = events.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
  t.equal(lines.at(-1)?.type, 'execution.finished')
  const other = (await service.call('GET', '/executions')).body.executions[0].id
  t.same(lines, await service.events(other), '--events is the log')

  t.same(await run(['tail', id]), { code: 0, stdout: 'Hello world\n', stderr: '' }, 'tail shows what run shows')
  const last = await run(['tail', id, '--events', '--after', String(execution.lastSeq - 1)])
  t.match(JSON.parse(last.stdout), { seq: execution.lastSeq, type: 'execution.finished' })
  t.same(
    await run(['tail', id, '--after', String(execution.lastSeq)]),
    { code: 0, stdout: '', stderr: '' },
    'behind the end',
  )
  t.same(JSON.parse((await run(['show', id, '--json'])).stdout), execution)
  t.match(
    (await run(['show', id])).stdout,
    /^id +\S+\nstatus +succeeded\n[^]*^metadata +team=docs, note=a=b$[^]*^usage +\d+ tokens in.*\(simulated\)$[^]*\n\nHello world\n$/m,
  )

  const list = await run(['list'])
  t.match(
    list.stdout,
    new RegExp(`^${other}  succeeded  20\\S+Z  Do as the script says\\.[^\\n]*\\n${id}  [^\\n]*\\n$`),
  )
  t.same(
    (
      JSON.parse((await run(['list', '--json', '--limit', '1'])).stdout) as {
        executions: Execution[]
        nextCursor: string
      }
    ).executions.map((entry) => entry.id),
    [other],
  )
  t.match(
    (await run(['list', '--metadata', 'team=docs', '--status', 'succeeded,failed'])).stdout,
    new RegExp(`^${id} [^\\n]*\\n$`),
  )
  t.equal((await run(['list', '--status', 'failed'])).stdout, '')
  t.match((await run(['list', '--query', 'as THE script'])).stdout, new RegExp(`^${other}  succeeded `))
  t.equal((await run(['list', '--query', 'nowhere in a prompt'])).stdout, '')

  const strict = await service.finished((await service.submit({ prompt, verify: { files: ['none.txt'] } })).id)
  t.match(strict, { status: 'failed', outcome: { code: 'VERIFICATION_FAILED' } })
  const rows = (await run(['report', '2'])).stdout.split('\n')
  t.match(rows[0], /^execution +finished +status +checks +pass +fail +skip +task$/)
  t.match(
    rows[1],
    new RegExp(
      `^${strict.id}  20\\S+Z +failed \\(VERIFICATION_FAILED\\) +failed +\\d+ +1 +\\d+ +Do as the script says`,
    ),
  )
  t.match(rows[2], /^ {2}required_files failed: .*none\.txt/)
  t.match(rows[3], new RegExp(`^${other}  20\\S+Z +succeeded +passed +\\d+ +0 +`))
  t.equal(rows.length, 5)
  const report = JSON.parse((await run(['report', '--json'])).stdout) as { executions: unknown[] }
  t.match(report, {
    executions: [
      {
        executionId: strict.id,
        code: 'VERIFICATION_FAILED',
        verification: { checks: strict.outcome?.verification?.checks },
      },
      { executionId: other },
      { executionId: id },
    ],
  })
  for (const wrong of [['0'], ['x'], ['1', '2']]) t.match(await run(['report', ...wrong]), { code: 2, stdout: '' })

  const spent = JSON.parse((await run(['usage', '--json'])).stdout) as UsageReport
  const sum = [execution, strict, (await service.call('GET', `/executions/${other}`)).body as Execution].reduce(
    (total, { usage }) => total + usage.outputTokens,
    0,
  )
  t.match(spent, {
    groupBy: ['day'],
    rows: [{ executions: 3, succeeded: 2, outputTokens: sum }],
    total: { executions: 3, outputTokens: sum },
    simulated: true,
  })
  const table = await run(['usage', '--by', 'model,token'])
  t.match(table, { code: 0, stderr: `cc-executor: ${spent.note}\n` })
  const [header, row, total] = table.stdout.split('\n')
  t.match(header, /^model +token +executions +succeeded +in +out +cache read +cache made +usd$/)
  t.match(row, new RegExp(`^\\S+ +\\w+ +3 +2 +\\d+ +${sum} .*\\d\\.\\d{4}$`))
  t.match(total, new RegExp(`^total +3 +2 +\\d+ +${sum} `))
  t.match(await run(['usage', '--from', '2020-01-01', '--to', '2020-01-02']), { code: 0, stdout: /\ntotal +0 +0 / })
  t.match(await run(['usage', '--by', 'hour']), {
    code: 2,
    stdout: '',
    stderr: /--by: expected day, model, token, credential, not "hour"/,
  })
})

void t.test('run shows text on stdout and the rest on stderr, and finds service and token by itself', async (t) => {
  const env = { CC_EXECUTOR_PORT: String(service.apis[0]?.address.port), CC_EXECUTOR_DATA_DIR: service.config.dataDir }
  const prompt = scripted(
    { text: 'I look. ', chunks: 3 },
    { tool: 'Bash', input: { command: 'ls' } },
    { tool: 'WebFetch', input: { url: 'http://a.test', prompt: 'x' } },
    { text: 'Done.', chunks: 2 },
  )
  const { code, stdout, stderr } = await startCli(t, ['run', prompt], env).ended
  t.equal(stdout, 'I look. \nDone.\n')
  t.match(stderr, /^execution [0-9a-f-]{36} \(simulated\)$/m)
  t.match(stderr, /^> Bash \{"command":"ls".*\}$/m)
  t.match(stderr, /^! WebFetch was denied; to allow it: --allowed-tools 'WebFetch\(domain:a\.test\)'$/m)
  t.equal(code, 0, stderr)

  const shown = await runCommand(['token'], env)
  t.same(shown, { code: 0, stdout: `${service.token}\n`, stderr: '' })
})

void t.test('remedies are worded as flags, and nothing else is', (t) => {
  for (const [said, shown] of [
    ['allowedTools: ["Bash(npm install:*)"]', "--allowed-tools 'Bash(npm install:*)'"],
    ['permissionMode: "acceptEdits", allowedTools: ["Bash"]', '--permission-mode acceptEdits --allowed-tools Bash'],
    ['allowedTools: ["Bash(a:*)", "Edit(//x)"]', "--allowed-tools 'Bash(a:*),Edit(//x)'"],
    ['disallowedTools without the rule', '--disallowed-tools without the rule'],
    ['turns than allowed (maxTurns). Raise maxTurns, or', 'turns than allowed (--max-turns). Raise --max-turns, or'],
    ['(backgroundTimeoutSeconds: 0)', '(--background-timeout 0)'],
    ['"maxTurns": 1 in a/maxTurns, the model of json', '"maxTurns": 1 in a/maxTurns, the model of json'],
  ] as const)
    t.equal(toFlags(said), shown)
  t.end()
})

void t.test('an answer that is an object is alone on stdout', async (t) => {
  const schema = JSON.stringify({ type: 'object', properties: { a: { type: 'string' } }, required: ['a'] })
  const { code, stdout, stderr } = await openCli(t, runCommand, service).run([
    'run',
    '--output-schema',
    schema,
    scripted({ text: 'I think.' }, { structured: { a: 'x' } }),
  ])
  t.same(JSON.parse(stdout), { a: 'x' })
  t.match(stderr, /^I think\.\n> StructuredOutput /m)
  t.equal(code, 0, stderr)
})

void t.test('a batch: submitted with a label, awaited, its answers read one by one and as a table', async (t) => {
  const { run } = openCli(t, runCommand, service)
  const submit = async (...steps: object[]): Promise<string> =>
    (await service.submit({ prompt: scripted(...steps), metadata: { batch: 'night' } })).id
  const detached = await run(['run', '--detach', '--label', 'batch=night', scripted({ text: 'Said, "so",\nit was.' })])
  const plain = detached.stdout.trim()
  const denied = await submit(
    { tool: 'WebFetch', input: { url: 'http://a.test', prompt: 'x' } },
    { text: 'Without it.' },
  )
  const waited = await run(['wait', '--label', 'batch=night'])
  t.same(waited, { code: 0, stdout: `${plain}  succeeded\n${denied}  succeeded, 1 denied\n`, stderr: '' })
  const failing = await submit({ status: 400, message: 'no', times: 'always' })
  t.match(await run(['wait', failing, plain]), { code: 1, stdout: /^\S+  failed \(\w+\)\n\S+  succeeded\n$/ })

  t.same(await run(['result', plain]), { code: 0, stdout: 'Said, "so",\nit was.\n', stderr: '' })
  t.match(await run(['result', denied]), { code: 0, stdout: 'Without it.\n', stderr: /succeeded, 1 denied/ })
  t.match(await run(['result', failing]), { code: 1, stdout: '', stderr: /failed \(\w+\): / })
  t.match((await run(['list', '--label', 'batch=night'])).stdout, /^\S+  failed .*\[\w+\] .*\n.*\[1 denied\] .*\n/)
  const here = { CC_EXECUTOR_URL: service.url(), CC_EXECUTOR_DATA_DIR: service.config.dataDir }
  t.match((await runCommand(['show', plain], here)).stdout, new RegExp(`^folder +/.*/${plain}$`, 'm'))

  const { stdout: csv } = await run(['list', '--csv', '--label', 'batch=night'])
  t.match(csv, /^id,status,code,denied,created,finished,usd,labels,prompt,answer\n/)
  t.match(csv, new RegExp(`^${denied},succeeded,,1,20.*,batch=night,".*"?,Without it\\.$`, 'ms'))
  t.ok(csv.endsWith(',"Said, ""so"",\nit was."\n'))

  const going = (await service.submit({ prompt: scripted({ hangMs: 600_000 }) })).id
  t.match(await run(['result', going]), { code: 1, stdout: '', stderr: /cli\.js wait \S+ waits for its end$/m })
  t.match(await run(['wait', '--timeout', '1', going]), { code: 124, stdout: '', stderr: /not finished after 1 s/ })
  t.match(await run(['wait', 'x', '--label', 'a=b']), { code: 2, stdout: '' })
  t.match(await run(['wait', 'no-such-id']), { code: 1, stderr: /no-such-id|not found|no execution/i })
  await service.call('POST', `/executions/${going}/cancel`)
  const { text } = await service.call('GET', `/executions/${plain}`)
  t.ok(text.endsWith('}\n'), 'an answer of the API ends with its line, also for curl on a terminal')
})

void t.test('a wrong call is told with the usage, before any service is asked', async (t) => {
  const wrong = async (args: string[], sentence: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await runCommand(args, { CC_EXECUTOR_URL: 'http://127.0.0.1:1' }, 'x')
    t.match({ code, stdout, stderr }, { code: 2, stdout: '', stderr: sentence }, args.join(' '))
    t.match(
      stderr,
      /\n\nUsage: cc-executor [^\n]+\nRun it with --help for details\.\n$/,
      'the fault stays on the screen',
    )
  }
  await Promise.all([
    wrong(['run', '--modle', 'x', 'hello'], /^cc-executor: unknown flag --modle; did you mean --model\?\n/),
    wrong(['run', 'say', 'hello'], /one argument/),
    wrong(['run', ''], /prompt: must not be empty/),
    wrong(['run', '--effort', 'huge', 'hello'], /^cc-executor: --effort: /),
  ])
  await Promise.all([
    wrong(['run', '--max-turns', 'many', 'hello'], /^cc-executor: --max-turns: /),
    wrong(['run', '--metadata', 'team', 'hello'], /^cc-executor: --metadata: expected label=value/),
    wrong(['run', '--events', '--json', 'hello'], /--events cannot be combined/),
    wrong(
      ['run', '--timeout', 'soon', 'hello'],
      /^cc-executor: --timeout: must be a number of seconds, .* or "auto"$/m,
    ),
    wrong(['tail'], /expected the id/),
    wrong(['cancel', ''], /the id is empty/),
    wrong(['usage', '--from', 'tomorrow'], /^cc-executor: --from: expected a day/),
    wrong(['token', 'x'], /Unexpected argument 'x'/),
    wrong(['list', '--limit', '0'], /--limit/),
    wrong(['list', '--query', ''], /--query/),
    wrong(['list', '--query', 'x'.repeat(257)], /--query/),
  ])
  t.match(await runCommand(['list'], { CC_EXECUTOR_PORT: '0', CC_EXECUTOR_DATA_DIR: '/nowhere' }), {
    code: 2,
    stderr: /CC_EXECUTOR_PORT is 0/,
  })
  t.match(await runCommand(['run', '--help'], {}), { code: 0, stdout: /^Usage: cc-executor run /, stderr: '' })
  t.match(await startCli(t, ['run'], {}, '').ended, { code: 2, stdout: '', stderr: /\n\nUsage: cc-executor run / })
  const names = ['start', 'api', 'worker', 'mcp', 'config', 'doctor']
  for (const [index, ended] of (
    await Promise.all(names.map((name) => startCli(t, [name, '--help'], { REDIS_URL: 'redis://127.0.0.1:1' }).ended))
  ).entries()) {
    t.match(ended, { code: 0, stdout: new RegExp(`^Usage: cc-executor ${names[index]}\\b`), stderr: '' })
  }
  t.match(await startCli(t, ['help'], {}).ended, { code: 0, stdout: /^ {2}run \[flags\] "prompt" +runs a prompt/m })
  t.match(await startCli(t, ['toString'], {}).ended, { code: 2, stderr: /unknown command "toString"/ })
})

void t.test('an unreachable service is one sentence and 69; a refused token names where it comes from', async (t) => {
  const url = `http://127.0.0.1:${await findLastingPort()}`
  const env = { CC_EXECUTOR_URL: url }
  const calls = [
    ['run', 'hello'],
    ['tail', '019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21'],
  ]
  const ended = [startCli(t, ['list'], env).ended, ...calls.map((args) => runCommand(args, env))]
  for (const { code, stdout, stderr } of await Promise.all(ended)) {
    t.match(
      stderr,
      /^cc-executor: CC Executor cannot be reached at [^\n]*: nothing listens there \(ECONNREFUSED\)[^\n]*\n$/,
    )
    t.match(stderr, url)
    t.same({ code, stdout }, { code: 69, stdout: '' })
  }
  const foreign = { CC_EXECUTOR_TOKEN: 'some-other-services-token' }
  t.match(await runCommand(['list', '--url', service.url()], foreign), {
    code: 1,
    stdout: '',
    stderr: /^cc-executor: .*CC_EXECUTOR_TOKEN[^\n]*\n$/,
  })
  t.match(await openCli(t, runCommand, service).run(['show', '019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21']), {
    code: 1,
    stderr: /^cc-executor: There is no execution [^\n]*\n$/,
  })
  t.match(await openCli(t, runCommand, service).run(['list', '--status', 'odd']), { code: 2, stderr: /status/ })
})

void t.test('the token of this machine goes to this machine only', async (t) => {
  const heard: Array<string | undefined> = []
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization)
    response.setHeader('content-type', 'application/json').end('{"executions":[],"nextCursor":null}')
  }).listen(0, '0.0.0.0')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const { port } = server.address() as AddressInfo
  const env = { CC_EXECUTOR_DATA_DIR: service.config.dataDir }
  for (const host of ['127.0.0.1', '127.0.0.2'])
    t.equal((await runCommand(['list', '--url', `http://${host}:${port}`], env)).code, 0)
  await runCommand(['list', '--url', `http://127.0.0.2:${port}`], { ...env, CC_EXECUTOR_TOKEN: 'meant-for-it' })
  t.same(heard, [`Bearer ${service.token}`, undefined, 'Bearer meant-for-it'])
})
