import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { openCluster, type Cluster, type Server } from '../../support/cluster.js'
import { SCRIPTED_CLI } from '../../support/paths.js'
import type { Bench } from '../bench-context.js'
import type { Row } from '../rows.js'
import { forgetPeak, memoryOf } from '../service.js'
import { until } from '../../support/deadlines.js'

/**
 * `npm run bench -- --only flood`: what API and worker take while a child prints a quarter of a gigabyte, and a whole
 * one, before subscribers that do not read. Bounded means: the second figure is as the first.
 */
const MIB = 1024 * 1024
const AMOUNTS_MIB = [256, 1024]
const SUBSCRIBERS = 500
const LINE_BYTES = 20_000
const WRITE_DEADLINE_SECONDS = 5
const DEADLINE_MS = 400_000

/** In MiB. */
interface Memory {
  readonly before: number
  readonly peak: number
  readonly after: number
}
interface FloodResult {
  readonly printedMiB: number
  readonly seconds: number
  readonly api: Memory
  readonly worker: Memory
  /** How many of the subscribers were given up. */
  readonly closed: number
}

const mib = (pid: number, field: 'VmRSS' | 'VmHWM'): number => Math.round(memoryOf(pid, field) / 1024)

async function openSubscriber({ folder }: Cluster, { url }: Server, executionId: string): Promise<WebSocket> {
  const token = (await readFile(join(folder, 'data', 'token'), 'utf8')).trim()
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { authorization: `Bearer ${token}` } })
  socket.on('error', () => undefined)
  await once(socket, 'open')
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params: { executionId } }))
  await once(socket, 'message')
  socket.pause()
  return socket
}

async function floodOnce(printedMiB: number): Promise<FloodResult> {
  const closers: Array<() => Promise<void>> = []
  try {
    const cluster = await openCluster(
      { teardown: (close) => void closers.push(close) },
      {
        env: {
          CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
          CC_EXECUTOR_WRITE_DEADLINE_SECONDS: String(WRITE_DEADLINE_SECONDS),
          CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES: String(4096 * MIB),
          LOG_LEVEL: 'info',
        },
      },
    )
    const [api, worker] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    const go = join(cluster.folder, 'go')
    const line = `${JSON.stringify({ type: 'assistant', message: { id: 'flood', content: [{ type: 'text', text: 'x'.repeat(LINE_BYTES) }] } })}\n`
    const steps = [
      { file: go },
      { repeat: line, times: Math.ceil((printedMiB * MIB) / line.length) },
      {
        line: {
          type: 'result',
          subtype: 'success',
          is_error: false,
          result: 'done',
          num_turns: 1,
          usage: {},
          permission_denials: [],
        },
      },
    ]
    const id = await cluster.submit(api, JSON.stringify(steps), { timeoutSeconds: 600 })
    const sockets: WebSocket[] = []
    for (let count = 0; count < SUBSCRIBERS; count += 1) sockets.push(await openSubscriber(cluster, api, id))
    const members = [api, worker] as const
    const before = members.map(({ pid }) => mib(pid, 'VmRSS'))
    for (const { pid } of members) forgetPeak(pid)
    const startedAt = performance.now()
    await writeFile(go, '')
    await until(async () => (await cluster.get(api, id)).finishedAt !== undefined, 'the flood is over', DEADLINE_MS)
    const seconds = (performance.now() - startedAt) / 1_000
    const { status } = await cluster.get(api, id)
    if (status !== 'succeeded') throw new Error(`the flood ended as ${status}`)
    const closed = (): number => api.stderr().split('accepted no data for too long').length - 1
    await until(() => closed() >= SUBSCRIBERS, 'every subscriber that does not read is given up', DEADLINE_MS)
    const [peak, after] = (['VmHWM', 'VmRSS'] as const).map((field) => members.map(({ pid }) => mib(pid, field)))
    for (const socket of sockets) socket.terminate()
    const of = (index: number): Memory => ({
      before: before[index] ?? 0,
      peak: peak?.[index] ?? 0,
      after: after?.[index] ?? 0,
    })
    return { printedMiB, seconds, api: of(0), worker: of(1), closed: closed() }
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

export async function benchFlood(bench: Bench): Promise<Row[]> {
  const results: FloodResult[] = []
  for (const amount of AMOUNTS_MIB) results.push(await floodOnce(amount))
  const [small, large] = results
  if (!small || !large) return []
  bench.note(`${SUBSCRIBERS} subscribers that read nothing: ${large.closed} were given up`)
  const peer = `${small.printedMiB} MiB`
  return (['api', 'worker'] as const).map((part) => ({
    id: `flood.${part}`,
    title: `peak RSS of the ${part} while ${large.printedMiB} MiB are printed before such subscribers`,
    unit: 'MiB',
    better: 'less',
    samples: { here: [large[part].peak], [peer]: [small[part].peak] },
    goals: [{ against: peer, atMost: 1.5 }],
  }))
}
