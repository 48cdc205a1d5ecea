// A whole run of the real CLI before the scripted model: by itself, and through the service.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claudeCommand } from '../../../src/claude/command/claude-command.js'
import { toRunRequest } from '../../../src/claude/command/run-request.js'
import { findCredentials } from '../../../src/claude/install/credentials.js'
import { findClaude } from '../../../src/claude/install/find-claude.js'
import { readConfig } from '../../../src/platform/config.js'
import { openSimulator } from '../../../src/simulator/simulator.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { runToEnd } from '../clients.js'
import type { Row } from '../rows.js'
import { cpuMsOf, pidsOf, settle, withServices, type Service } from '../service.js'

const ROUNDS = 7
const PROMPT = 'Say hello'

interface Figures {
  readonly wallMs: number
  readonly cpuMs?: number
}

export async function findBinary(): Promise<string> {
  const config = readConfig(process.env)
  const binary = await findClaude({
    path: process.env['PATH'] ?? '',
    cacheBin: join(config.cacheBin, 'claude'),
    ...(config.claudeBin !== undefined && { explicit: config.claudeBin }),
  })
  if (binary === undefined) throw new Error('The Claude CLI was not found; run npm run setup.')
  return binary
}

/** The CLI by itself, with the very command line and environment that the service gives it. */
async function runDirectly(folder: string, binary: string, simulatorUrl: string): Promise<Figures> {
  const run = join(folder, `direct-${crypto.randomUUID()}`)
  for (const name of ['workspace', 'home', 'tmp']) await mkdir(join(run, name), { recursive: true })
  const command = claudeCommand(toRunRequest({ prompt: PROMPT }), {
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

async function runThroughService(service: Service): Promise<Figures> {
  await settle(service)
  const before = cpuMsOf(pidsOf(service))
  const startedAt = performance.now()
  await runToEnd(service, PROMPT)
  const wallMs = performance.now() - startedAt
  await settle(service)
  return { wallMs, cpuMs: cpuMsOf(pidsOf(service)) - before }
}

export async function benchRun(bench: Bench): Promise<Row[]> {
  const binary = await findBinary()
  const simulator = await openSimulator()
  try {
    const env = {
      CC_EXECUTOR_CLAUDE_BIN: binary,
      CC_EXECUTOR_SIMULATOR_URL: simulator.url,
      ANTHROPIC_API_KEY: undefined,
    }
    return await withServices(bench, { env }, async (services) => {
      const lanes = [
        { name: 'cli', measure: () => runDirectly(bench.folder, binary, simulator.url) },
        ...services.map((service) => ({ name: service.checkout.name, measure: () => runThroughService(service) })),
      ]
      for (const { measure } of lanes) await measure()
      const results = await inTurn<Figures>(ROUNDS, lanes)
      return [
        {
          id: 'run.wall',
          title: 'a whole run of the real CLI',
          unit: 'ms',
          better: 'less',
          samples: pick(results, ({ wallMs }) => wallMs),
        },
        {
          id: 'run.cpu',
          title: 'the same: CPU of API, worker and Redis',
          unit: 'ms',
          better: 'less',
          samples: pick(results, ({ cpuMs }) => cpuMs),
        },
      ]
    })
  } finally {
    await simulator.close()
  }
}
