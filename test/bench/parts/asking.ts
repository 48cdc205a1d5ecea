// What it costs that people may be asked: a run that asks nothing, over one that may not; and one that is parked.
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { digestInput } from '../../../src/executions/records/approval-record.js'
import { createExecutionStore } from '../../../src/executions/store/execution-store.js'
import { mintUuid } from '../../../src/platform/mint-uuid.js'
import { NO_USAGE } from '../../../src/protocol/execution.js'
import { openSimulator } from '../../../src/simulator/simulator.js'
import { treeOf } from '../../support/processes.js'
import { startRecord } from '../../support/start-record.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { runToEnd } from '../clients.js'
import type { Row } from '../rows.js'
import { findBinary } from './run.js'
import { settle, withServices, type Service } from '../service.js'

const RUNS = 21
const PARKED = 10_000
/** As many as one step makes at once. */
const STEP = 100

function requireOne(service: Service | undefined): Service {
  if (!service) throw new Error('no service was started')
  return service
}

interface Figures {
  readonly wallMs: number
  /** The most that lived at once. */
  readonly processes: number
}

async function runOnce(service: Service, more: object): Promise<Figures> {
  await settle(service)
  const count = (): number => service.workerPids.flatMap((pid) => treeOf(pid)).length
  const before = count()
  let most = 0
  const counting = setInterval(() => (most = Math.max(most, count() - before)), 40)
  try {
    const startedAt = performance.now()
    await runToEnd(service, 'Say hello', { permissionMode: 'acceptEdits', ...more })
    return { wallMs: performance.now() - startedAt, processes: most }
  } finally {
    clearInterval(counting)
  }
}

/** Cold against cold, in turn, each time after the other. */
async function benchRuns(bench: Bench): Promise<Record<string, Figures[]>> {
  const simulator = await openSimulator()
  const options = {
    env: {
      CC_EXECUTOR_CLAUDE_BIN: await findBinary(),
      CC_EXECUTOR_SIMULATOR_URL: simulator.url,
      ANTHROPIC_API_KEY: undefined,
    },
  }
  try {
    return await withServices(bench, options, async ([first]) => {
      const service = requireOne(first)
      await runOnce(service, {})
      return inTurn(RUNS, [
        { name: 'here', measure: () => runOnce(service, { onPermissionNeeded: 'ask' }) },
        { name: 'nobody asked', measure: () => runOnce(service, {}) },
      ])
    })
  } finally {
    await simulator.close()
  }
}

/** KB of Redis for each of 10,000 that are parked, without their log. */
async function measureParked({ redis: { url } }: Service): Promise<number> {
  const redis = new Redis(url.replace('unix://', ''))
  try {
    const store = createExecutionStore(redis, { prefix: 'cc', retentionSeconds: 3_600 })
    const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await park()
    const before = await used()
    for (let made = 0; made < PARKED; made += STEP) await Promise.all(Array.from({ length: STEP }, park))
    const whole = (await used()) - before
    let logs = 0
    for (const key of await redis.keys('{cc}:events:*')) logs += Number(await redis.memory('USAGE', key))
    return (whole - logs) / PARKED / 1_000

    async function park(): Promise<void> {
      const [id, approval] = [mintUuid(Date.now()), randomUUID()]
      const request = { prompt: 'Say hello. '.padEnd(400, 'x'), onPermissionNeeded: 'ask' } as const
      await store.create(
        {
          id,
          owner: `owner-${id}`,
          request,
          requestDigest: 'd'.repeat(64),
          priority: 'normal',
          createdAt: Date.now(),
          workspace: id,
          metadata: {},
          simulated: false,
        },
        1e6,
      )
      const claimed = await store.claim(id, 1, 'worker', 600_000, [{ name: 'key', weight: 1, highestSandbox: 2 }])
      if (claimed.kind !== 'claimed') throw new Error(claimed.kind)
      const { executionId, fence } = claimed
      await startRecord(store, executionId, fence, { simulated: false })
      const input = { command: 'touch a.txt'.padEnd(400, 'x'), description: 'a call' }
      const asked = {
        kind: 'tool',
        toolUseId: `toolu_${approval}`,
        tool: 'Bash',
        input,
        inputSha256: digestInput(input),
        suggestions: ['Bash(touch *)'],
        updates: [{ type: 'addRules', rules: [{ toolName: 'Bash', ruleContent: 'touch *' }], behavior: 'allow' }],
        attempt: 1,
      } as const
      await store.requestApproval(
        approval,
        { executionId, fence },
        { ...asked, suggestions: [...asked.suggestions] },
        864e5,
        {
          open: 5,
          all: 10,
        },
      )
      const at = new Date()
      await store.retry(executionId, fence, {
        reason: 'TOOL_DEFERRED',
        message: '',
        usage: NO_USAGE,
        attempt: 1,
        spared: 1,
        at,
        parked: { reason: 'approval', until: new Date(at.getTime() + 864e5), approvalId: approval },
      })
    }
  } finally {
    redis.disconnect()
  }
}

export async function benchAsking(bench: Bench): Promise<Row[]> {
  const runs = await benchRuns(bench)
  const parked = await withServices(bench, { workers: 0 }, ([service]) => measureParked(requireOne(service)))
  return [
    {
      id: 'asking.run',
      title: 'a run that may ask and does not, over one that asks nobody',
      unit: 'ms',
      better: 'less',
      samples: pick(runs, ({ wallMs }) => wallMs),
      goals: [{ against: 'nobody asked', isDifference: true, atMost: 3 }],
    },
    {
      id: 'asking.processes',
      title: 'the processes of such a run',
      unit: '',
      better: 'less',
      samples: pick(runs, ({ processes }) => processes),
      goals: [{ against: 'nobody asked', isDifference: true, atMost: 0 }],
    },
    {
      id: 'asking.parked',
      title: 'Redis per execution that is parked for an approval, without its log',
      unit: 'KB',
      better: 'less',
      samples: { here: [parked] },
      goals: [{ atMost: 12 }],
      isPortable: true,
    },
  ]
}
