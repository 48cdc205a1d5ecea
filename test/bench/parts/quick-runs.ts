// Runs that end at once: what the service itself takes for each, under bubblewrap and where there are no namespaces.
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { within } from '../../../src/platform/abort-signals.js'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { toPrompt } from '../clients.js'
import { BASE, type Row } from '../rows.js'
import { cpuMsOf, pidsOf, settle, withServices, type Service } from '../service.js'

const DEADLINE_MS = 60_000
const AT_ONCE = 16

export interface QuickRuns {
  readonly perSecond: number
  readonly cpuMs: number
}

/** So many of them, asked for at once by one socket on each API; every one must have come to its end. */
export async function runQuickly(service: Service, runs: number): Promise<QuickRuns> {
  await settle(service)
  const sockets = await Promise.all(
    service.ports.map(async (port) => {
      const headers = { authorization: `Bearer ${service.token}` }
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers })
      await once(socket, 'open')
      return socket
    }),
  )
  let ended = 0
  const over = new Promise<void>((resolve) => {
    for (const socket of sockets)
      socket.on('message', (data: Buffer) => {
        if (data.includes('"subscription.closed"') && (ended += 1) === runs) resolve()
      })
  })
  const prompt = toPrompt({ kind: 'none', bytes: 0, lines: 0 })
  const before = cpuMsOf(pidsOf(service))
  const startedAt = performance.now()
  for (let run = 0; run < runs; run += 1)
    sockets[run % sockets.length]?.send(
      JSON.stringify({ jsonrpc: '2.0', id: run, method: 'execute', params: { prompt } }),
    )
  await within(DEADLINE_MS, `the end of ${runs} quick runs`, over)
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.close()
  return { perSecond: runs / seconds, cpuMs: (cpuMsOf(pidsOf(service)) - before) / runs }
}

/** 6c4780c knows no levels: what it does under bubblewrap is what `host` is today, so that one is compared with it. */
const KINDS = [
  { name: 'bubblewrap', title: 'under bubblewrap', runs: 160, atLeast: 1.8, env: { CC_EXECUTOR_SANDBOX: 'host' } },
  { name: 'default', title: 'in the sandbox that is the default', runs: 160 },
  { name: 'weak', title: 'where there are no namespaces', runs: 96, atLeast: 2 },
]

export async function benchQuickRuns(bench: Bench): Promise<Row[]> {
  const rows: Row[] = []
  for (const { name, title, runs, atLeast, env: level } of KINDS) {
    const env = { CC_EXECUTOR_CONCURRENCY: String(AT_ONCE), ...level }
    const wrapper = name === 'weak' ? [bench.programs['no-namespaces']] : []
    const results = await withServices(bench, { env, wrapper }, async (services) => {
      for (const service of services) await runQuickly(service, AT_ONCE)
      return inTurn(
        bench.rounds,
        services.map((service) => ({ name: service.checkout.name, measure: () => runQuickly(service, runs) })),
      )
    })
    rows.push(
      {
        id: `quick-runs.${name}.rate`,
        title: `runs that end at once, ${AT_ONCE} at a time, ${title}`,
        unit: '/s',
        better: 'more',
        samples: pick(results, ({ perSecond }) => perSecond),
        goals: atLeast === undefined ? [] : [{ against: BASE, atLeast }],
      },
      {
        id: `quick-runs.${name}.cpu`,
        title: 'the same: CPU of API, worker and Redis a run',
        unit: 'ms',
        better: 'less',
        samples: pick(results, ({ cpuMs }) => cpuMs),
      },
    )
  }
  return rows
}
