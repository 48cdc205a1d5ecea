import { spawn } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256 } from '../../src/platform/hash.js'
import { TOOLS } from '../../src/protocol/tools.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { startCli, tryKill } from '../support/processes.js'
import { scripted } from '../support/environment.js'
import { makePng } from '../support/media.js'
import { CLI } from '../support/paths.js'
import { openMcpFolder, saysProtocolOnly } from './harness.js'
import { once, repeat, until } from '../support/deadlines.js'

t.jobs = 2

const HANGING = scripted({ text: 'Well' }, { delayMs: 50 }, { hangMs: 120_000 })
const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

/** As a claude that is a client names a tool of ours. */
const named = (tool: string): string => `mcp__cc-executor__${tool}`

async function runProgram(
  t: Test,
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  cwd: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(file, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => void child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => (said[name] += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...said }
}

void t.test('the tools on a service that is started for them', async (t) => {
  const mcp = await openMcpFolder(t, { CC_EXECUTOR_LOCK_SECONDS: '12' })
  const session = await mcp.connect({
    env: { CLAUDECODE: '1', CLAUDE_CODE_SESSION_ID: 'of-the-client', CLAUDE_PROJECT_DIR: '/of-the-client' },
  })
  const { client, call } = session
  t.equal((await mcp.services()).length, 0, 'listing tools starts nothing')

  await t.test('are told with strict schemas, as the Messages API and other clients take them', async (t) => {
    const { tools } = await client.listTools()
    t.same(
      tools.map(({ name }) => name),
      Object.keys(TOOLS),
    )
    for (const { name, description, inputSchema, outputSchema, annotations } of tools) {
      t.ok(description, name)
      t.match(inputSchema, { type: 'object', additionalProperties: false }, name)
      t.notOk(
        ['oneOf', 'anyOf', 'allOf'].some((word) => word in inputSchema),
        `${name}: nothing at the root that the Messages API refuses`,
      )
      t.equal(outputSchema?.type, 'object')
      t.notMatch(JSON.stringify([inputSchema, outputSchema]), /"\$ref":/)
      const written = ['execute', 'cancel_execution', 'send_message', 'decide_approval']
      t.equal(annotations?.readOnlyHint, !written.includes(name), name)
    }
    t.match(client.getInstructions(), /wait_for_execution/)
  })

  await t.test('execute answers the result, with progress for who asks for it', async (t) => {
    const progress: Array<{ progress: number; total?: number | undefined; message?: string | undefined }> = []
    const prompt = scripted(
      { tool: 'Bash', input: { command: 'ls' } },
      { tool: 'WebFetch', input: { url: 'http://a.test', prompt: 'x' } },
      { text: 'Done.' },
    )
    const { isError, text, structured } = await call(
      'execute',
      { prompt, metadata: { team: 'docs' }, waitSeconds: 45 },
      { onprogress: (told) => progress.push(told) },
    )
    t.notOk(isError)
    t.match(structured, {
      id: ID,
      status: 'succeeded',
      isFinished: true,
      simulated: true,
      outcome: { result: 'Done.' },
      metadata: { team: 'docs' },
    })
    t.equal(structured.request, undefined)
    t.match(
      text,
      /^Succeeded\. [\d.]+ s, \d turns\. A scripted model answered, not Claude\.\nDenied: WebFetch; to allow it: .+\nExecution .+\n\nDone\.\n$/,
    )
    t.ok(
      progress.every(({ progress: value }, index) => value > (progress[index - 1]?.progress ?? -1)),
      'it only grows',
    )

    const verified = await call('verify_execution', { executionId: structured.id })
    t.match(verified.structured, {
      status: 'succeeded',
      isFinished: true,
      simulated: true,
      usage: { turns: structured.usage.turns },
      outcome: { permissionDenials: [{ tool: 'WebFetch' }] },
      log: {
        isWhole: true,
        hasGap: false,
        isEnded: true,
        isSameOutcome: true,
        truncatedBytes: 0,
        lastSeq: structured.lastSeq,
        eventsRead: structured.lastSeq,
      },
    })
    t.match(verified.structured.outcome.verification, {
      status: 'failed',
      checks: [{ name: 'process_exit', status: 'pass' }],
    })
    t.match(verified.text, /^Outcome: succeeded.*\nChecks: failed \(process_exit pass; .*permissions fail: .+\)\.\n/)
    t.match(verified.text, /Denied tool calls: WebFetch\.\n.*\nLog: whole\. .*\nNot checked: .*no test was run/)
  })

  await t.test('verify_execution lists the newest executions with their checks', async (t) => {
    const newest = (
      await call('execute', {
        prompt: scripted({ text: 'Fine.' }),
        verify: { files: ['missing.txt'] },
        waitSeconds: 45,
      })
    ).structured
    const { isError, structured, text } = await call('verify_execution', { lastN: 2 })
    t.notOk(isError)
    t.match(structured.executions, [
      {
        executionId: newest.id,
        status: 'failed',
        code: 'VERIFICATION_FAILED',
        kind: 'run',
        simulated: true,
        prompt: /script/,
        verification: { status: 'failed' },
      },
      { status: 'succeeded' },
    ])
    t.equal(structured.executions.length, 2)
    t.match(
      text.split('\n')[0],
      new RegExp(
        `^${newest.id} 20\\S+Z failed \\(VERIFICATION_FAILED\\)\\. Checks: failed \\(.*required_files fail: .*missing\\.txt`,
      ),
    )
    for (const wrong of [{}, { executionId: newest.id, lastN: 1 }, { lastN: 0 }, { lastN: 51 }])
      t.match(await call('verify_execution', wrong), { isError: true, structured: { code: 'INVALID_REQUEST' } })
  })

  await t.test('a run that fails is an answer; a wrong call is an error that names the field', async (t) => {
    const failed = await call('execute', {
      prompt: scripted({ status: 400, message: 'no', times: 'always' }),
      waitSeconds: 45,
    })
    t.notOk(failed.isError)
    t.match(failed.structured, { status: 'failed', isFinished: true, outcome: { status: 'failed', code: String } })
    t.match(failed.text, /^Failed \(\w+\): /)
    for (const [name, input, error] of [
      [
        'execute',
        { prompt: 'x', nonsense: 1 },
        { code: 'INVALID_REQUEST', retryable: false, errors: [{ path: 'nonsense', message: 'unknown field' }] },
      ],
      ['execute', {}, { code: 'INVALID_REQUEST', errors: [{ path: 'prompt' }] }],
      ['execute', { prompt: 'x', waitSeconds: 46 }, { code: 'INVALID_REQUEST', errors: [{ path: 'waitSeconds' }] }],
      ['execute', { command: 'rm -rf /' }, { code: 'COMMAND_NOT_ALLOWED', requestId: String }],
      ['get_execution', { executionId: 'none' }, { code: 'EXECUTION_NOT_FOUND', retryable: false, requestId: String }],
      ['wait_for_execution', {}, { code: 'INVALID_REQUEST', errors: [{ path: 'executionId' }] }],
    ] as const) {
      const { isError, text, structured } = await call(name, input)
      t.ok(isError, name)
      t.match(structured, error)
      t.ok(text.startsWith(`${error.code}: `), text)
    }
    await t.rejects(client.callTool({ name: 'remove_everything', arguments: {} }), /remove_everything/)
  })

  await t.test('what takes longer is handed back, waited for and cancelled', async (t) => {
    const handed = await call('execute', { prompt: HANGING, waitSeconds: 1, idempotencyKey: 'once' })
    t.notOk(handed.isError)
    const { id } = handed.structured
    t.match(handed.structured, {
      isFinished: false,
      status: /^(?:queued|running)$/,
      next: `Call wait_for_execution with executionId ${id} to wait for its end.`,
    })
    t.ok(handed.text.startsWith('Still '), handed.text)
    t.equal(
      (await call('execute', { prompt: HANGING, waitSeconds: 0, idempotencyKey: 'once' })).structured.id,
      id,
      'the same key, the same execution',
    )
    const waited = await call('wait_for_execution', { executionId: id, waitSeconds: 0.2 })
    t.match(waited.structured, { id, isFinished: false })
    t.match((await call('verify_execution', { executionId: id })).structured, {
      isFinished: false,
      log: { isWhole: false, hasGap: false, isEnded: false },
    })

    const leaving = new AbortController()
    // Progress is told of one that goes on, however long anything takes.
    const leave = (): void => leaving.abort(new Error('the caller has gone'))
    const options = { signal: leaving.signal, onprogress: leave }
    await t.rejects(call('wait_for_execution', { executionId: id, waitSeconds: 45 }, options), /the caller has gone/)
    t.match(
      (await call('get_execution', { executionId: id })).structured,
      { isFinished: false },
      'the end of a request ends no execution',
    )

    const attachments = [{ mediaType: 'image/png', data: makePng().toString('base64') }]
    t.match((await call('send_message', { executionId: id, text: 'And now?', attachments })).structured, {
      attachments: [{ mediaType: 'image/png', sha256: sha256(makePng()) }],
      executionId: id,
      delivery: 'steer',
      status: /^(?:accepted|delivered)$/,
    })
    t.match(await call('send_message', { executionId: id, text: '' }), { isError: true, text: /text/ })
    const cancelled = await call('cancel_execution', { executionId: id, reason: 'enough', waitSeconds: 45 })
    t.match(cancelled.structured, { id, status: 'cancelled', isFinished: true, outcome: { code: 'CANCELLED' } })
    t.match(
      (await call('cancel_execution', { executionId: id })).structured,
      { status: 'cancelled' },
      'twice is no error',
    )
    t.match((await call('send_message', { executionId: id, text: 'Too late?' })).structured, {
      status: 'dropped',
      reason: 'ended',
    })
  })

  await t.test('a long result comes in parts', async (t) => {
    const first = await call('execute', { prompt: scripted({ repeatText: 'äbc ', bytes: 60_000 }), waitSeconds: 45 })
    const { id, resultLength, next } = first.structured
    t.match(next, /get_execution with executionId .* and resultOffset 24000 /)
    let whole: string = first.structured.outcome.result
    await until(async () => {
      const part = await call('get_execution', { executionId: id, resultOffset: whole.length })
      whole += part.structured.outcome.result
      return whole.length >= resultLength
    }, 'all of it has come')
    t.ok(whole.length > 40_000 && 'äbc '.repeat(20_000).startsWith(whole))
    t.equal(
      (await call('get_execution', { executionId: id, resultOffset: whole.length })).structured.outcome.result,
      '',
    )
    t.ok(first.text.length < 25_000)
  })

  await t.test('the status tells what works; run and list find the same service', async (t) => {
    const { structured, text } = await call('get_executor_status')
    t.match(structured, {
      url: (await mcp.serving())?.url,
      simulated: true,
      isReady: true,
      queue: { capacity: 4 },
      parts: { claude: { status: 'ok' } },
    })
    t.match(text, /: ready\. A scripted model answers/)
    t.notMatch(
      await readFile(`/proc/${(await mcp.serving())?.pid}/environ`, 'latin1'),
      /CLAUDECODE|of-the-client/,
      'the service is no part of a client’s session',
    )
    const { CC_EXECUTOR_PORT: _free, ...elsewhere } = mcp.env
    const run = startCli(t, ['run', 'Say hello'], elsewhere)
    t.match(await run.ended, { code: 0 })
  })
  saysProtocolOnly(t, session)

  await t.test('a second client joins; a start on the same folder is told who is there', async (t) => {
    const second = await mcp.connect()
    t.match((await second.call('get_executor_status')).structured, { url: (await mcp.serving())?.url })
    t.equal((await mcp.services()).length, 1)
    const start = startCli(t, ['start', '--simulate'], mcp.env)
    await start.drained
    t.match(
      start.stderr(),
      /^cc-executor: Another cc-executor is running on this data folder \(process \d+ at http:\S+, started for MCP\)/,
    )
    t.match(await start.ended, { code: 1 })
  })

  await t.test(
    'an end of its input, SIGTERM and a reader who has gone end it with 0, and leave what runs',
    async (t) => {
      const { structured } = await call('execute', { prompt: HANGING, waitSeconds: 0 })
      const hello = {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
      }
      const ask = (id: number): string =>
        `${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'wait_for_execution', arguments: { executionId: structured.id, waitSeconds: 45 } } })}\n`

      const ends: ReadonlyArray<readonly [string, (child: ReturnType<typeof spawn>) => void]> = [
        ['its input ends', (child) => child.stdin?.end()],
        ['SIGTERM', (child) => child.kill('SIGTERM')],
        [
          'its reader goes',
          (child) => {
            child.stdout?.destroy()
            // An answer that nobody reads.
            child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'tools/list' })}\n`)
          },
        ],
      ]
      await Promise.all(
        ends.map(async ([how, end]) => {
          const child = spawn(process.execPath, [CLI, 'mcp', '--simulate'], {
            env: mcp.env,
            stdio: ['pipe', 'pipe', 'pipe'],
          })
          t.teardown(() => void child.kill('SIGKILL'))
          const exited = once(child, 'exit')
          let said = ''
          child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
          child.stdin.write(`${JSON.stringify(hello)}\n`)
          await once(child.stdout, 'data')
          child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n${ask(2)}`)
          end(child)
          t.same(await exited, [0, null], how)
          t.notMatch(said, /Error:|at .*\.js/, how)
        }),
      )
      t.match((await call('get_execution', { executionId: structured.id })).structured, { isFinished: false })
      t.match((await call('cancel_execution', { executionId: structured.id, waitSeconds: 45 })).structured, {
        status: 'cancelled',
      })
    },
  )

  await t.test('the printed configuration serves the real claude, whose tool call runs claude again', async (t) => {
    const printed = startCli(t, ['mcp', '--print-config', '--simulate'], {
      ...mcp.env,
      CC_EXECUTOR_TOKEN: 'a-secret-of-sixteen-or-more',
    })
    await printed.drained
    t.match(printed.stderr(), /CC_EXECUTOR_TOKEN is a secret and is not printed/)
    t.notMatch(printed.stdout(), /a-secret/)
    const [, block = ''] = /^(\{[\s\S]+?\n\})$/m.exec(printed.stdout()) ?? []
    t.match(JSON.parse(block), {
      mcpServers: {
        'cc-executor': {
          command: process.execPath,
          args: [CLI, 'mcp', '--simulate'],
          env: { CC_EXECUTOR_DATA_DIR: mcp.dataDir },
        },
      },
    })

    const simulator = await openSimulator()
    t.teardown(() => simulator.close())
    const home = join(mcp.folder, 'home')
    await mkdir(join(home, 'bin'), { recursive: true })
    await writeFile(join(home, 'mcp.json'), block)
    // A CLI that is given by its path alone gets the name that the printed command calls.
    const claude = mcp.env['CC_EXECUTOR_CLAUDE_BIN']
    if (claude !== undefined) await symlink(claude, join(home, 'bin', 'claude'))
    const path = [join(home, 'bin'), mcp.env['PATH']].filter(Boolean).join(delimiter)
    const outer = {
      PATH: path,
      HOME: home,
      ANTHROPIC_BASE_URL: simulator.url,
      ANTHROPIC_API_KEY: 'simulated',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_TMPDIR: home,
    }
    const inner = scripted(
      { tool: 'Write', input: { file_path: '${cwd}/made.txt', content: 'by the inner run' } },
      { text: 'The inner run is done.' },
    ).replace('${cwd}', '\\u0024{cwd}') // filled in by the inner run's model alone
    const prompt = scripted(
      { tool: 'WaitForMcpServers', input: {} },
      { turn: true },
      { tool: named('execute'), input: { prompt: inner, metadata: { by: 'claude' }, waitSeconds: 45 } },
      { text: 'I was told: ${lastToolResult}' },
    )
    const { code, stdout, stderr } = await runProgram(
      t,
      'claude',
      [
        '-p',
        prompt,
        '--mcp-config',
        join(home, 'mcp.json'),
        '--strict-mcp-config',
        '--allowedTools',
        named('execute'),
        '--output-format',
        'json',
      ],
      outer,
      home,
    )
    t.equal(code, 0, stderr + stdout)
    const answer = JSON.parse(stdout) as { result: string; is_error: boolean; permission_denials: unknown[] }
    t.match(answer, { is_error: false, permission_denials: [] })
    // Claude Code hands its model the structured content and not the text.
    const told = JSON.parse(answer.result.slice('I was told: '.length)) as { workspace: string }
    t.match(told, { status: 'succeeded', metadata: { by: 'claude' }, outcome: { result: 'The inner run is done.' } })
    t.equal(await readFile(join(mcp.dataDir, 'workspaces', told.workspace, 'made.txt'), 'utf8'), 'by the inner run')
    t.equal((await mcp.services()).length, 1, 'it joined the service that was there')

    const added = await runProgram(
      t,
      'bash',
      ['-c', /^claude mcp add .+$/m.exec(printed.stdout())?.[0] ?? 'false'],
      outer,
      home,
    )
    t.equal(added.code, 0, added.stderr)
    t.match(
      JSON.parse(await readFile(join(home, '.claude.json'), 'utf8')),
      {
        mcpServers: {
          'cc-executor': {
            command: process.execPath,
            args: [CLI, 'mcp', '--simulate'],
            env: { CC_EXECUTOR_DATA_DIR: mcp.dataDir },
          },
        },
      },
      'the other printed command says the same',
    )
  })

  await t.test('a service that is killed while a call waits is replaced, and the call goes on', async (t) => {
    const { structured } = await call('execute', { prompt: HANGING, waitSeconds: 0 })
    const messages: string[] = []
    const waiting = call(
      'wait_for_execution',
      { executionId: structured.id, waitSeconds: 45 },
      { onprogress: ({ message }) => messages.push(message ?? '') },
    )
    const before = await mcp.serving()
    await until(() => messages.some((message) => /runs|turns/.test(message)), 'it waits')
    tryKill(before?.pid ?? 0)
    const { text, isError } = await waiting
    t.notOk(isError)
    t.match(text, /The connection to the service was lost meanwhile and was re-established\./)
    t.ok(messages.includes('connection to the service lost; reconnecting'), messages.join('; '))
    const after = await mcp.serving()
    t.not(after?.instanceId, before?.instanceId)
    const told = await repeat(async () => {
      const waited = await call('wait_for_execution', { executionId: structured.id, waitSeconds: 45 })
      return waited.structured.isFinished === true ? waited.structured : undefined
    }, 'its end is told')
    t.match(
      told,
      { status: 'failed', outcome: { code: 'WORKER_LOST' } },
      'what was accepted is kept, and its end is told',
    )
  })
})
