// What a CLI on standby gains: a run of the worker's defaults through the service, over `claude -p` by hand.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { claudeCommand } from '../../../src/claude/command/claude-command.js'
import { toRunRequest } from '../../../src/claude/command/run-request.js'
import { findCredentials } from '../../../src/claude/install/credentials.js'
import { sleep } from '../../../src/platform/abort-signals.js'
import { openSimulator } from '../../../src/simulator/simulator.js'
import { until } from '../../support/deadlines.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { call, runToEnd } from '../clients.js'
import type { Row } from '../rows.js'
import { settle, withServices, type Service } from '../service.js'
import { findBinary } from './run.js'

const ROUNDS = 9
const BURST_ROUNDS = 3
const BURST = 20
const PROMPT = 'Say hello'
/** In which a worker says what it has, after a run. */
const ANNOUNCED_MS = 1_500

interface Figures {
  readonly wallMs: number
  readonly firstMs?: number | undefined
  readonly handedOver?: number
}

/** As somebody at a terminal: the same flags, environment and HOME state, and no standard input. */
async function runByHand(folder: string, binary: string, simulatorUrl: string): Promise<Figures> {
  const run = join(folder, `hand-${crypto.randomUUID()}`)
  for (const name of ['workspace', 'home', 'tmp']) await mkdir(join(run, name), { recursive: true })
  const { file, args, env } = claudeCommand(toRunRequest({ prompt: PROMPT }), {
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
  const own = args.filter((arg) => arg !== '--input-format=stream-json' && arg !== '--replay-user-messages')
  const startedAt = performance.now()
  const child = spawn(file, [...own, PROMPT], {
    cwd: join(run, 'workspace'),
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  child.stdout.resume()
  await once(child, 'exit')
  return { wallMs: performance.now() - startedAt }
}

interface Ready {
  readonly parts: { readonly workers: { readonly standby?: number } }
}

async function untilReady(service: Service): Promise<void> {
  await sleep(ANNOUNCED_MS)
  await until(async () => (await call<Ready>(service, '/health/ready')).parts.workers.standby === 1, 'a CLI stands by')
  await settle(service)
}

const isHandedOver = async (service: Service, id: string): Promise<boolean> =>
  (await call<{ standby?: true }>(service, `/executions/${id}/receipt`)).standby === true

/** To the first message of the model, and to the end. */
async function runHandedOver(service: Service): Promise<Figures> {
  await untilReady(service)
  const startedAt = performance.now()
  const response = await fetch(`http://127.0.0.1:${service.port}/execute`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${service.token}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
    },
    body: JSON.stringify({ prompt: PROMPT }),
  })
  let firstMs: number | undefined
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (firstMs === undefined && text.includes('"claude.message"')) firstMs = performance.now() - startedAt
  }
  const wallMs = performance.now() - startedAt
  const id = /"executionId":"([^"]+)"/.exec(text)?.[1] ?? ''
  if (!(await isHandedOver(service, id))) throw new Error('the run was not handed to the CLI that stood by')
  return { wallMs, firstMs }
}

async function burst(service: Service): Promise<Figures> {
  await settle(service)
  const startedAt = performance.now()
  const ids = await Promise.all(Array.from({ length: BURST }, () => runToEnd(service, PROMPT)))
  const wallMs = performance.now() - startedAt
  const handed = await Promise.all(ids.map((id) => isHandedOver(service, id)))
  return { wallMs, handedOver: handed.filter(Boolean).length }
}

export async function benchStandby(bench: Bench): Promise<Row[]> {
  const binary = await findBinary()
  const simulator = await openSimulator()
  // Of an earlier commit there is nothing to be handed over.
  const own = { ...bench, checkouts: bench.checkouts.filter(({ name }) => name === 'here') }
  const env = {
    CC_EXECUTOR_CLAUDE_BIN: binary,
    CC_EXECUTOR_SIMULATOR_URL: simulator.url,
    ANTHROPIC_API_KEY: undefined,
  }
  const open = <Result>(standby: string, use: (service: Service) => Promise<Result>): Promise<Result> =>
    withServices(own, { env: { ...env, CC_EXECUTOR_STANDBY: standby } }, async ([service]) => {
      if (!service) throw new Error('no service was started')
      return use(service)
    })
  try {
    return await open('1', async (service) => {
      const lanes = [
        { name: 'here', measure: () => runHandedOver(service) },
        { name: 'by hand', measure: () => runByHand(bench.folder, binary, simulator.url) },
      ]
      for (const { measure } of lanes) await measure()
      const results = await inTurn<Figures>(ROUNDS, lanes)
      const bursts = await open('0', async (without) =>
        inTurn<Figures>(BURST_ROUNDS, [
          { name: 'here', measure: async () => (await untilReady(service), burst(service)) },
          { name: 'without', measure: () => burst(without) },
        ]),
      )
      const handed = pick(bursts, ({ handedOver }) => handedOver)['here'] ?? []
      bench.note(`standby.burst: of ${BURST} executions ${handed.join(', ')} were handed over`)
      const row = { unit: 'ms', better: 'less' } as const
      return [
        {
          ...row,
          id: 'standby.wall',
          title: 'a whole run, handed to a CLI on standby',
          samples: pick(results, ({ wallMs }) => wallMs),
          goals: [{ against: 'by hand', atMost: 0.35 }],
        },
        {
          ...row,
          id: 'standby.first',
          title: 'the same: POST to the first message, over a whole run by hand',
          samples: {
            here: pick(results, ({ firstMs }) => firstMs)['here'] ?? [],
            'by hand': pick(results, ({ wallMs }) => wallMs)['by hand'] ?? [],
          },
          goals: [{ against: 'by hand', atMost: 0.2 }],
        },
        {
          ...row,
          id: 'standby.burst',
          title: `${BURST} at once, 4 at work`,
          samples: pick(bursts, ({ wallMs }) => wallMs),
          goals: [{ against: 'without', atMost: 1.02 }],
        },
      ]
    })
  } finally {
    await simulator.close()
  }
}
