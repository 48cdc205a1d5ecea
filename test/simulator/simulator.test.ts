// The real CLI, run by the simulator alone: no account, no network. http.test.ts has what needs no CLI.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { openSimulator, type Simulator } from '../../src/simulator/simulator.js'
import { readProcess } from '../../src/supervision/process-tree.js'
import { eventually, repeat, until } from '../support/deadlines.js'

const claude = await findClaude()
t.jobs = 2

void t.test('one session answers seven prompts, and a later process resumes it', async (t) => {
  const place = await makePlace(t)
  const first = await startClaude(t, place)
  const plain = await first.ask('Say "hello" to ${cwd}\nand more')
  t.equal(
    plain.result,
    'Hello! This answer is simulated, no model has read your prompt. It begins: "Say "hello" to ${cwd}"',
  )
  t.match(plain, { is_error: false, subtype: 'success', stop_reason: 'end_turn' })

  const tools = await first.ask(
    simulate([
      { thinking: 'Two at once.' },
      { text: 'I write them.' },
      { tool: 'Write', input: { file_path: '${cwd}/note.txt', content: 'hi ${HOME}' } },
      { tool: 'Write', input: { file_path: '${cwd}/other.txt', content: 'ho' } },
      { usage: { outputTokens: 4321 } },
      { tool: 'Bash', input: { command: 'cat note.txt other.txt', description: 'reads' } },
      { text: 'The shell said: ${lastToolResult}' },
    ]),
  )
  t.match(tools, { is_error: false, result: 'The shell said: hi ${HOME}ho' })
  t.equal(await readFile(join(place.cwd, 'note.txt'), 'utf8'), 'hi ${HOME}')
  t.ok(Number(tools.usage?.output_tokens) > 4321, 'the scripted usage is in the sum')

  const cut = await first.ask(simulate([{ text: 'one two', chunks: 3 }, { cut: true }]))
  t.match(cut, { is_error: false, result: 'one two' })
  const finished = await first.ask(simulate([{ text: 'said' }, { delayMs: 0 }, { cut: true }]))
  t.match(
    finished,
    { result: /mid-response|^said$/ },
    'after a finished block the older CLI ends, the newer one asks again',
  )
  const limit = await first.ask(simulate([{ text: 'first half' }, { stop: 'max_tokens' }, { text: 'second half' }]))
  t.match(limit, { is_error: false, result: 'second half' })
  const limited = await first.ask(simulate([{ text: 'An answer after ' }, { status: 429, times: 2 }]))
  t.match(limited, { is_error: false, result: 'An answer after ' })
  const large = await first.ask(simulate([{ repeatText: 'äbcdefg\n', bytes: 2 * 1024 * 1024 }]))
  t.equal(Buffer.byteLength(large.result ?? ''), 2 * 1024 * 1024 - ((2 * 1024 * 1024) % 9) + 8)
  t.equal(await first.end(), 0)
  const posts = first.simulator.requests.filter((request) => request.method === 'POST')
  t.same([...new Set(posts.map((request) => request.path))], ['/v1/messages?beta=true'])
  t.same([...new Set(first.simulator.requests.flatMap((request) => request.credentials))], ['x-api-key'])
  // The older CLI looks first whether anybody is there.
  const others = first.simulator.requests.filter((request) => request.method !== 'POST')
  t.ok(others.every((request) => request.method === 'HEAD' && request === first.simulator.requests[0]))

  // Another simulator: where a conversation stands is read from the request.
  const second = await startClaude(t, place, ['--resume', large.session_id])
  t.match(await second.ask(simulate([{ text: '' }, { turn: true }, { text: 'Now visible.' }])), {
    result: 'Now visible.',
  })
  t.match(await second.ask('and without a script?'), { is_error: false, result: /It begins: "and without a script\?"/ })
  await second.end()

  const elsewhere = { ...place, cwd: join(place.home, 'elsewhere') }
  await mkdir(elsewhere.cwd)
  const fork = await startClaude(t, elsewhere, ['--resume', large.session_id, '--fork-session'])
  const forked = await fork.ask(simulate([{ text: 'in ${cwd}' }]))
  // The older CLI finds the sessions of the folder that it is started in only.
  t.match(
    forked,
    forked.subtype === 'success' ? { result: `in ${elsewhere.cwd}` } : { errors: [/No conversation found/] },
  )
  await fork.end()
})

void t.test('errors end a turn with their status', async (t) => {
  const run = await startClaude(t, await makePlace(t))
  t.match(await run.ask(simulate([{ status: 500, times: 'always' }])), { is_error: true, api_error_status: 500 })
  t.match(await run.ask(simulate([{ status: 403, message: 'Not you.' }])), {
    is_error: true,
    api_error_status: 403,
    result: /Not you\./,
  })
  t.match(await run.ask(simulate([{ status: 401, times: 'always' }])), { is_error: true, api_error_status: 401 })
  t.match(await run.ask(simulate([{ nothing: 1 }])), {
    is_error: true,
    api_error_status: 400,
    result: /The script in the prompt is not valid: step 1 is of no known kind/,
  })
  const cutOff = [{ text: 'too long' }, { stop: 'max_tokens' }]
  t.match(await run.ask(simulate([...cutOff, ...cutOff, ...cutOff, ...cutOff])), {
    is_error: true,
    result: /output token maximum/,
  })
  t.match(await run.ask(simulate([{ stop: 'refusal' }])), { is_error: true, stop_reason: 'refusal' })
  t.match(await run.ask(simulate([{ text: 'some' }, { stop: 'refusal' }, { text: 'more' }])), {
    is_error: true,
    stop_reason: 'refusal',
  })
  t.equal(await run.end(), 1)
})

void t.test('the CLI goes on by itself, and the script with it', async (t) => {
  const settings = {
    hooks: {
      Stop: [{ hooks: [{ type: 'command', command: 'test -e once && exit 0; touch once; echo "go on" >&2; exit 2' }] }],
    },
  }
  const run = await startClaude(t, await makePlace(t), [`--settings=${JSON.stringify(settings)}`])
  t.match(
    await run.ask(simulate([{ text: 'one' }, { turn: true }, { text: 'two' }])),
    { result: 'two' },
    'a hook had it go on',
  )
  t.match(
    await run.ask(simulate([{ text: '' }, { turn: true }, { text: '' }, { turn: true }, { text: 'Now visible.' }])),
    { result: /^(?:Now visible\.)?$/ },
  )
  t.match(await run.ask(simulate([{ text: '' }, { turn: true }, { text: 'Now visible.' }])), { result: 'Now visible.' })
  t.match(await run.ask(simulate([{ thinking: 'hm' }, { stop: 'max_tokens' }, { text: 'after the thought' }])), {
    result: 'after the thought',
  })
  const background = simulate([
    {
      tool: 'Bash',
      input: { command: 'until test -e go; do sleep 0.1; done', description: 'waits', run_in_background: true },
    },
    { text: 'waiting' },
    { turn: true },
    { text: 'told' },
  ])
  t.match(await run.ask(background), { result: 'waiting' })
  await writeFile(join(run.place.cwd, 'go'), '')
  t.match(await run.nextResult(), { result: 'told' })
  t.equal(await run.end(), 0)
})

void t.test('a killed run is resumed where it stood', async (t) => {
  const place = await makePlace(t)
  const sessionId = randomUUID()
  const killed = await startClaude(t, place, [`--session-id=${sessionId}`])
  const asked = killed.ask(
    simulate([
      { text: 'begin' },
      { tool: 'Bash', input: { command: 'echo $$ > begun; until test -e over; do sleep 0.1; done', description: 'x' } },
      { text: 'went on in ${cwd}' },
    ]),
  )
  const ended = t.rejects(asked)
  // The transcript is written late: what it must hold is the call.
  await until(async () => {
    const text = await readTranscript(place, sessionId)
    return text.includes('"tool_use"') && text.includes('> begun')
  }, 'the transcript has the call')
  await killed.kill()
  await ended
  // A Bash tool has a session of its own, and survives its CLI.
  await writeFile(join(place.cwd, 'over'), '')
  const left = Number(await readFile(join(place.cwd, 'begun'), 'utf8').catch(() => ''))
  if (left > 0) await until(() => readProcess(left) === undefined, 'its tool has ended')
  const resumed = await startClaude(t, place, ['--resume', sessionId])
  t.match(await resumed.ask('[cc-executor] Go on.'), { result: `went on in ${place.cwd}` })
  await resumed.end()
})

void t.test('a script gives structured output', async (t) => {
  const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
  const run = await startClaude(t, await makePlace(t), ['--json-schema', JSON.stringify(schema)])
  const asked = await run.ask(
    simulate([{ structured: { name: 5 } }, { text: 'Again.' }, { structured: { name: 'ada' } }]),
  )
  t.match(asked, { is_error: false, structured_output: { name: 'ada' } })
  await run.end()
  // In a process that has given an object the CLI insists on no other one.
  const other = await startClaude(t, await makePlace(t), ['--json-schema', JSON.stringify(schema)])
  const reminded = await other.ask(simulate([{ text: 'in words' }, { turn: true }, { structured: { name: 'eva' } }]))
  t.match(reminded, { is_error: false, structured_output: { name: 'eva' } })
  await other.end()
})

interface Place {
  readonly cwd: string
  readonly home: string
  readonly tasks: string
}
interface Result {
  readonly type: string
  readonly subtype: string
  readonly session_id: string
  readonly result?: string
  readonly usage?: { readonly output_tokens: number }
}
interface Run {
  readonly simulator: Simulator
  /** Resolves with the line `result`: stdin stays open until then, or the CLI would cut its own tail off. */
  ask(prompt: string): Promise<Result>
  /** Of a turn that the CLI began by itself. */
  nextResult(): Promise<Result>
  end(): Promise<number | null>
  kill(): Promise<void>
  readonly place: Place
}

async function makePlace(t: Test): Promise<Place> {
  const root = await realpath(t.testdir({}))
  const place = { cwd: join(root, 'work'), home: join(root, 'home'), tasks: join(root, 'tasks') }
  await Promise.all(Object.values(place).map((folder) => mkdir(folder)))
  return place
}

async function startClaude(
  t: Test,
  place: Place,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Run> {
  const simulator = await openSimulator()
  t.teardown(() => simulator.close())
  const child = spawn(
    claude,
    [
      '-p',
      '--input-format',
      'stream-json',
      '--output-format',
      'stream-json',
      '--verbose',
      '--permission-mode',
      'acceptEdits',
      '--allowedTools=Bash',
      ...flags,
    ],
    {
      cwd: place.cwd,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        HOME: place.home,
        PATH: process.env['PATH'],
        CLAUDE_CODE_TMPDIR: place.tasks,
        ANTHROPIC_BASE_URL: simulator.url,
        ANTHROPIC_API_KEY: 'simulated',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CODE_MAX_RETRIES: '2',
        ...env,
      },
    },
  )
  const exit = eventually(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextResult = (): Promise<Result> =>
    repeat(async () => {
      const line = await lines.next()
      if (line.done === true) throw new Error('claude ended without a result')
      const message: Result = JSON.parse(line.value)
      return message.type === 'result' ? message : undefined
    }, 'claude gives a result')
  return {
    simulator,
    place,
    nextResult,
    async ask(prompt) {
      const content = [
        { type: 'text', text: prompt },
        { type: 'text', text: '(end of the task)' },
      ]
      child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`)
      return nextResult()
    },
    async end() {
      child.stdin.end()
      const [code]: (number | null)[] = await exit
      return code ?? null
    },
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
  }
}

async function readTranscript(place: Place, sessionId: string): Promise<string> {
  const projects = join(place.home, '.claude', 'projects')
  const files = await readdir(projects, { recursive: true }).catch(() => [])
  const file = files.find((name) => name.endsWith(`${sessionId}.jsonl`))
  return file === undefined ? '' : readFile(join(projects, file), 'utf8')
}

function simulate(steps: readonly object[]): string {
  return `Please do it.\n\n\`\`\`simulate\n${JSON.stringify(steps, null, 1)}\n\`\`\`\nThank you.`
}

async function findClaude(): Promise<string> {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'claude'))
  const places = [
    process.env['CC_EXECUTOR_CLAUDE_BIN'],
    ...onPath,
    join(homedir(), '.cache/cc-executor/bin/claude'),
    '/tmp/claude-cli/package/claude',
  ]
  for (const place of places) {
    if (place === undefined || place === '') continue
    const found = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return place
  }
  throw new Error('no claude CLI found: set CC_EXECUTOR_CLAUDE_BIN')
}
