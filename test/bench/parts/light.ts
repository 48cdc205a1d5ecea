// What a start costs and holds, and what a command of the terminal takes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../../src/platform/abort-signals.js'
import { listenOn } from '../../support/redis.js'
import { commandLineOf, treeOf } from '../../support/processes.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import type { Checkout } from '../checkout.js'
import { endWithUs, run } from '../programs.js'
import { BASE, type Row } from '../rows.js'
import { serviceEnvironment } from '../service.js'

const ROUNDS = 4
const LISTS = 5
/** After that nothing of the start is going on any more. */
const IDLE_MS = 6_000

interface Figures {
  readonly startMs: number
  readonly pssMb?: number
  readonly listMs: number[]
}

function pssOf(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Of npm's own process and of what a worker keeps ready for runs nothing is counted. */
function pssOfService(root: number): number {
  const [worker] = treeOf(root).filter(({ pid }) => commandLineOf(pid).endsWith(' worker'))
  const spared = new Set((worker ? treeOf(worker.pid) : []).map(({ pid }) => pid))
  if (worker) spared.delete(worker.pid)
  return treeOf(root)
    .filter(({ pid }) => !spared.has(pid) && !/^npm |^sh -c node src\/setup/.test(commandLineOf(pid)))
    .reduce((sum, { pid }) => sum + pssOf(pid), 0)
}

const isHealthy = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  )

async function measureStart(bench: Bench, checkout: Checkout, withMemory: boolean): Promise<Figures> {
  const folder = await mkdtemp(join(bench.folder, 'light-'))
  const env: NodeJS.ProcessEnv = { ...serviceEnvironment(folder) }
  try {
    let port = 0
    await listenOn((free) => Promise.resolve((port = free)))
    env['CC_EXECUTOR_PORT'] = String(port)
    delete env['CC_EXECUTOR_ALLOWED_HOSTS']
    const startedAt = performance.now()
    const child = spawn('npm', ['start', '--', '--simulate'], { cwd: checkout.root, env, stdio: 'ignore' })
    endWithUs(child)
    const exited = once(child, 'exit')
    try {
      for (const deadline = startedAt + 60_000; !(await isHealthy(port)); await sleep(2))
        if (performance.now() > deadline || child.exitCode !== null) throw new Error(`${checkout.title} does not start`)
      const startMs = performance.now() - startedAt
      const listMs: number[] = []
      let pssMb: number | undefined
      if (withMemory) {
        await sleep(IDLE_MS)
        pssMb = pssOfService(child.pid ?? -1) / 1024
        for (let count = 0; count < LISTS; count += 1) {
          const listedAt = performance.now()
          await runList(checkout, env)
          listMs.push(performance.now() - listedAt)
        }
      }
      return { startMs, listMs, ...(pssMb !== undefined && { pssMb }) }
    } finally {
      // The service itself, which npm waits for.
      const [service] = treeOf(child.pid ?? -1).filter(
        ({ pid }) => commandLineOf(pid).endsWith(' start --simulate') && !/^npm|^sh/.test(commandLineOf(pid)),
      )
      process.kill(service?.pid ?? child.pid ?? -1, 'SIGTERM')
      await exited
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

const runList = (checkout: Checkout, env: NodeJS.ProcessEnv): Promise<string> =>
  run(process.execPath, [...checkout.entry, 'list'], { env })

export async function benchLight(bench: Bench): Promise<Row[]> {
  const results = await inTurn(
    ROUNDS,
    bench.checkouts.map((checkout) => ({
      name: checkout.name,
      measure: (round: number) => measureStart(bench, checkout, round >= ROUNDS - 2),
    })),
  )
  const lists = Object.entries(results).map(([name, all]) => [name, all.flatMap(({ listMs }) => listMs)] as const)
  return [
    {
      id: 'light.pss',
      title: 'npm start -- --simulate, idle: PSS of all of its processes',
      unit: 'MB',
      better: 'less',
      samples: pick(results, ({ pssMb }) => pssMb),
      goals: [{ against: BASE, atMost: 0.55 }],
    },
    {
      id: 'light.start',
      title: 'the same: from the start to /health',
      unit: 'ms',
      better: 'less',
      samples: pick(results, ({ startMs }) => startMs),
      goals: [{ against: BASE, atMost: 0.6 }],
    },
    {
      id: 'light.list',
      title: 'cc-executor list',
      unit: 'ms',
      better: 'less',
      samples: Object.fromEntries(lists),
      goals: [{ against: BASE, atMost: 0.6 }],
    },
  ]
}
