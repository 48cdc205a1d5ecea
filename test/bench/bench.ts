import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { claudeCommand } from '../../src/claude/command/claude-command.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { findClaude } from '../../src/claude/install/find-claude.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { openStart } from '../../src/main/start.js'
import { type Started } from '../../src/main/lifecycle/started.js'
import { readConfig } from '../../src/platform/config.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { compareManifests } from '../../src/verification/compare-manifests.js'
import { takeManifest } from '../../src/verification/manifest.js'
import { benchAgainst, printComparison } from './against.js'
import { benchFlood, printFlood } from './flood.js'
import { cpuOf, median, percentile, type Sample } from './measure.js'
import { benchStarts, printStarts, type StartCosts } from './starts.js'

/**
 * `npm run bench`: what the service costs beside the CLI that it runs. Both sides of a ratio come from the same run,
 * one after the other in turn, because absolute figures of a shared machine mean little. A table, and JSON with --json.
 * `--only NAME`: one part (run, starts, relay, evidence, flood); `--against COMMIT`: another commit and this one in
 * turn, `--rounds N` (3).
 */
const PAIRS = 7
const LINES = 100_000
const PACED_LINES = 400
const FILES = 50_000
const PACED_PER_SECOND = 200
const RUN_DEADLINE_MS = 120_000

/** Prints as fast as it can, or at a pace with the time on each line; then a result, so that the run succeeds. */
const PRINTER = `#!/usr/bin/env node
if (process.argv.includes('--version')) { console.log('2.1.197 (Claude Code)'); process.exit(0) }
let prompt = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', (text) => { prompt += text; if (prompt.includes('\\n')) begin() })
let begun = false
async function begin() {
  if (begun) return
  begun = true
  const paced = prompt.includes('PACED')
  const count = paced ? ${PACED_LINES} : ${LINES}
  const pad = 'x'.repeat(130)
  const line = (n) => JSON.stringify({ type: 'bench', n, at: Number(process.hrtime.bigint() / 1000n), pad }) + '\\n'
  if (paced) for (let n = 0; n < count; n += 1) { process.stdout.write(line(n)); await new Promise((r) => setTimeout(r, ${1000 / PACED_PER_SECOND})) }
  else for (let n = 0; n < count; n += 1) if (!process.stdout.write(line(n))) await new Promise((r) => process.stdout.once('drain', r))
  process.stdout.write(JSON.stringify({ type: 'result', subtype: 'success', is_error: false, num_turns: 1, result: 'done', total_cost_usd: 0, usage: {} }) + '\\n')
  process.stdin.on('end', () => process.exit(0))
}
`

const nowMicros = (): number => Number(process.hrtime.bigint() / 1_000n)

/** The CLI by itself, with the very command line and environment that the service gives it. */
async function runDirectly(folder: string, simulatorUrl: string): Promise<Sample> {
  const config = readConfig(process.env)
  const binary = await findClaude({
    path: process.env['PATH'] ?? '',
    cacheBin: join(config.cacheBin, 'claude'),
    ...(config.claudeBin !== undefined && { explicit: config.claudeBin }),
  })
  if (binary === undefined) throw new Error('The Claude CLI was not found; run npm run setup.')
  const run = join(folder, `direct-${nowMicros()}`)
  for (const name of ['workspace', 'home', 'tmp']) await mkdir(join(run, name), { recursive: true })
  const command = claudeCommand(toRunRequest({ prompt: 'Say hello' }), {
    binary,
    sessionId: crypto.randomUUID(),
    workspace: join(run, 'workspace'),
    home: join(run, 'home'),
    tmpDir: join(run, 'tmp'),
    input: join(run, 'tmp'),
    credentials: findCredentials({}, { simulated: true }),
    env: process.env,
    childEnv: [],
    defaultPermissionMode: 'acceptEdits',
    extraAllowedTools: [],
    trustWorkspaces: false,
    asRoot: process.getuid?.() === 0,
    simulatorUrl,
    knowsPromptSnapshot: false,
  })
  const startedAt = performance.now()
  const child = spawn(command.file, command.args, {
    cwd: join(run, 'workspace'),
    env: command.env,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.write(command.firstLine)
  let heard = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard += text
    if (heard.includes('"type":"result"')) child.stdin.end()
  })
  await once(child, 'exit')
  return { wallMs: performance.now() - startedAt }
}

interface Session {
  readonly url: string
  readonly token: string
  readonly started: Started
}

const request = (session: Session, prompt: string): Promise<Response> =>
  fetch(`${session.url}/execute`, {
    method: 'POST',
    headers: { authorization: `Bearer ${session.token}`, 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ prompt }),
  })

async function runThroughService(session: Session): Promise<Sample> {
  const startedAt = performance.now()
  const response = await request(session, 'Say hello')
  // Safe: the service's own answer.
  const { status } = (await response.json()) as { status: string }
  if (status !== 'succeeded') throw new Error(`the run through the service ended as ${status}`)
  return { wallMs: performance.now() - startedAt }
}

/** Follows a run of the printer over the WebSocket; onLine gets the printer's own numbers. */
async function relay(
  session: Session,
  prompt: string,
  onLine: (at: number) => void,
): Promise<{ lines: number; seconds: number }> {
  const socket = new WebSocket(`${session.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${session.token}` },
  })
  await once(socket, 'open')
  let lines = 0
  let first = 0
  const finished = new Promise<void>((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('the relay took too long')), RUN_DEADLINE_MS)
    socket.on('message', (data: Buffer) => {
      const text = data.toString('latin1')
      const at = /"type":"bench","n":\d+,"at":(\d+)/.exec(text)?.[1]
      if (at !== undefined) {
        first ||= performance.now()
        lines += 1
        onLine(Number(at))
      } else if (text.includes('"method":"subscription.closed"')) {
        clearTimeout(deadline)
        resolve()
      }
    })
  })
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execute', params: { prompt } }))
  await finished
  const seconds = (performance.now() - first) / 1_000
  socket.close()
  return { lines, seconds }
}

async function withService<Result>(
  folder: string,
  overrides: NodeJS.ProcessEnv,
  simulate: boolean,
  use: (session: Session) => Promise<Result>,
): Promise<Result> {
  const dataDir = await mkdtemp(join(folder, 'data-'))
  const started = await openStart({
    environment: {
      ...process.env,
      REDIS_URL: undefined,
      REDIS_URL_FILE: undefined,
      CC_EXECUTOR_DATA_DIR: dataDir,
      CC_EXECUTOR_PORT: '0',
      CC_EXECUTOR_DRAIN_SECONDS: '0',
      LOG_LEVEL: 'error',
      ...overrides,
    },
    simulate,
  })
  try {
    return await use({
      url: started.api.url,
      token: (await readFile(started.config.tokenFile, 'utf8')).trim(),
      started,
    })
  } finally {
    await started.close()
  }
}

/** The floor for the relay: the same printer into a pipe that is only counted. */
async function printIntoPipe(printer: string): Promise<number> {
  const child = spawn(printer, [], { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.write('{"prompt":"FAST"}\n')
  let lines = 0
  let first = 0
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    first ||= performance.now()
    for (const byte of chunk) if (byte === 0x0a) lines += 1
    if (lines > LINES) break
  }
  child.stdin.end()
  return lines / ((performance.now() - first) / 1_000)
}

/** What evidence costs on a large workspace: a manifest before, one after, and what is different. */
async function inspectWorkspace(folder: string): Promise<{ files: number; beforeMs: number; afterMs: number }> {
  const workspace = join(folder, 'large')
  for (let group = 0; group < 500; group += 1) {
    await mkdir(join(workspace, `group-${group}`), { recursive: true })
    await Promise.all(
      Array.from({ length: FILES / 500 }, (_, index) =>
        writeFile(join(workspace, `group-${group}`, `${index}.txt`), `${group}/${index}\n`.repeat(50)),
      ),
    )
  }
  const limits = {
    ignored: [],
    maxEntries: 200_000,
    maxFileBytes: 16 * 1024 * 1024,
    maxBytes: 1024 ** 3,
    maxMs: 60_000,
  }
  const startedAt = performance.now()
  const before = await takeManifest(workspace, limits)
  const beforeMs = performance.now() - startedAt
  await writeFile(join(workspace, 'group-7', 'new.txt'), 'new')
  const againAt = performance.now()
  const after = await takeManifest(workspace, limits, before)
  if (compareManifests(before, after).length !== 1) throw new Error('the manifests differ in something else')
  return { files: before.entries.length, beforeMs, afterMs: performance.now() - againAt }
}

/** The CLI by itself and through the service, in turn. */
async function benchRun(folder: string): Promise<Record<string, number>> {
  const simulator = await openSimulator()
  const direct: Sample[] = []
  const service: Sample[] = []
  let serviceCpuMs = 0
  await withService(folder, {}, true, async (session) => {
    await runThroughService(session)
    await runDirectly(folder, simulator.url)
    const before = await cpuOf(process.pid)
    for (let pair = 0; pair < PAIRS; pair += 1) {
      direct.push(await runDirectly(folder, simulator.url))
      service.push(await runThroughService(session))
    }
    serviceCpuMs = ((await cpuOf(process.pid)) - before) / PAIRS
  })
  await simulator.close()
  const directMs = median(direct.map(({ wallMs }) => wallMs))
  const serviceMs = median(service.map(({ wallMs }) => wallMs))
  return {
    pairs: PAIRS,
    directWallMs: directMs,
    serviceWallMs: serviceMs,
    wallRatio: serviceMs / directMs,
    serviceCpuMsPerRun: serviceCpuMs,
  }
}

/** Lines from a child to a WebSocket client: as many as go through, and how long one takes at a pace. */
async function benchRelay(folder: string): Promise<Record<'relay' | 'latency', Record<string, number>>> {
  const printer = join(folder, 'printer.mjs')
  await writeFile(printer, PRINTER)
  await chmod(printer, 0o755)
  const floor = await printIntoPipe(printer)
  const latencies: number[] = []
  const fast = await withService(
    folder,
    { CC_EXECUTOR_CLAUDE_BIN: printer, ANTHROPIC_API_KEY: 'bench' },
    false,
    async (session) => {
      const answer = await relay(session, 'FAST', () => undefined)
      await relay(session, 'PACED', (at) => latencies.push((nowMicros() - at) / 1_000))
      return answer
    },
  )
  return {
    relay: {
      lines: fast.lines,
      bytesPerLine: 180,
      linesPerSecond: fast.lines / fast.seconds,
      pipeLinesPerSecond: floor,
      ratio: fast.lines / fast.seconds / floor,
    },
    latency: {
      linesPerSecond: PACED_PER_SECOND,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
    },
  }
}

/** What `--only` names; `flood` is measured only where it is named. */
const PARTS: Record<string, (folder: string) => Promise<Results>> = {
  starts: async () => ({ starts: await benchStarts() }),
  run: async (folder) => ({ run: await benchRun(folder) }),
  relay: benchRelay,
  evidence: async (folder) => ({ evidence: { ...(await inspectWorkspace(folder)) } }),
}
type Results = Partial<Record<'run' | 'relay' | 'latency' | 'evidence', Record<string, number>>> & {
  starts?: StartCosts
}

/** The value of an option, or undefined. @throws Error where it has none */
function readOption(name: string): string | undefined {
  const at = process.argv.indexOf(name)
  if (at === -1) return undefined
  const value = process.argv[at + 1]
  if (value === undefined || value.startsWith('--')) throw new Error(`${name}: a value is missing`)
  return value
}

async function bench(): Promise<void> {
  const isJson = process.argv.includes('--json')
  const only = readOption('--only') ?? (process.argv.includes('flood') ? 'flood' : undefined)
  if (only !== undefined && only !== 'flood' && !(only in PARTS))
    throw new Error(`--only: expected one of ${[...Object.keys(PARTS), 'flood'].join(', ')}; it is ${only}`)
  const against = readOption('--against')
  if (against !== undefined) {
    const rounds = readOption('--rounds')
    if (rounds !== undefined && !(Number.isInteger(Number(rounds)) && Number(rounds) > 0))
      throw new Error(`--rounds: expected a whole number above 0; it is ${rounds}`)
    const { comparison, file } = await benchAgainst(against, {
      only,
      rounds: rounds === undefined ? undefined : Number(rounds),
    })
    process.stdout.write(
      isJson
        ? `${JSON.stringify(comparison, null, 2)}\n`
        : `${printComparison(comparison)}as JSON, with every round: ${file}\n`,
    )
    return
  }
  if (only === 'flood') {
    const results = await benchFlood()
    process.stdout.write(
      isJson
        ? `${JSON.stringify(process.argv.includes('--only') ? { flood: results } : results, null, 2)}\n`
        : printFlood(results),
    )
    return
  }
  const folder = await mkdtemp(join(tmpdir(), 'cce-bench-'))
  try {
    let results: Results = {}
    for (const [name, measure] of Object.entries(PARTS))
      if (only === undefined || only === name) results = { ...results, ...(await measure(folder)) }
    if (isJson) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
    else {
      printTable(results)
      if (results.starts) process.stdout.write(printStarts(results.starts))
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function printTable({ run, relay: relayed, latency, evidence }: Results): void {
  const row = (name: string, value: number | undefined, unit: string): string =>
    `${name.padEnd(58)}${(value ?? Number.NaN).toFixed(2).padStart(12)} ${unit}\n`
  process.stdout.write(
    [
      run && [
        row(`the CLI called directly, median of ${run['pairs']} pairs`, run['directWallMs'], 'ms'),
        row('the same through the service', run['serviceWallMs'], 'ms'),
        row('ratio', run['wallRatio'], ''),
        row('CPU of API, worker, Redis and simulator per run', run['serviceCpuMsPerRun'], 'ms'),
      ],
      relayed && [
        row('lines of 180 B from a child to a WebSocket client', relayed['linesPerSecond'], '/s'),
        row('the same child into a pipe', relayed['pipeLinesPerSecond'], '/s'),
        row('ratio', relayed['ratio'], ''),
      ],
      latency && [
        row(`latency of a line at ${latency['linesPerSecond']}/s, p50`, latency['p50Ms'], 'ms'),
        row('p99', latency['p99Ms'], 'ms'),
      ],
      evidence && [
        row(`evidence: the first look at a workspace of ${evidence['files']} files`, evidence['beforeMs'], 'ms'),
        row('the second look, and the comparison', evidence['afterMs'], 'ms'),
      ],
    ]
      .flatMap((rows) => rows ?? [])
      .join(''),
  )
}

bench()
  .catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = 1
  })
  .finally(() => process.exit())
