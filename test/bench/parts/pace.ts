// How late a line comes, where a program prints at a pace: one of them, and a hundred.
import { inTurn, pick, type Bench } from '../bench-context.js'
import { readSockets, toPrompt, watchRun, type Order, type Read } from '../clients.js'
import { openPeer, openWebsocketd } from '../peers/open-peer.js'
import type { Row } from '../rows.js'
import { cpuMsOf, settle, withServices, type Service } from '../service.js'

interface Pace {
  readonly name: string
  readonly runs: number
  readonly perSecond: number
  readonly seconds: number
  /** Until then all of them have started. */
  readonly delayMs: number
}

interface CpuByPart {
  readonly api: number
  readonly worker: number
  readonly redis: number
}
interface Figures extends Read {
  readonly cpu?: CpuByPart
}

const cpuByPart = ({ apiPids, workerPids, redisPid }: Service): CpuByPart => ({
  api: cpuMsOf(apiPids),
  worker: cpuMsOf(workerPids),
  redis: cpuMsOf([redisPid]),
})

export const PACES = {
  '1x200': { name: '1x200', runs: 1, perSecond: 200, seconds: 4, delayMs: 500 },
  '100x20': { name: '100x20', runs: 100, perSecond: 20, seconds: 4, delayMs: 4_000 },
} as const satisfies Record<string, Pace>

export const benchPace =
  ({ name, runs, perSecond, seconds, delayMs }: Pace) =>
  async (bench: Bench): Promise<Row[]> => {
    const { printer } = bench.programs
    const websocketd = await openWebsocketd(bench, printer)
    // For one run only: it starts its program when all of its sockets are there.
    const node = runs === 1 ? await openPeer('socket-peer', [printer, '1']) : undefined
    const order = (): Order => ({ kind: 'raw', bytes: 200, lines: perSecond * seconds, perSecond, delayMs })
    const fromPeer = (port: number) => (): Promise<Read> =>
      readSockets(bench, {
        port,
        path: '/',
        connections: runs,
        lines: perSecond * seconds,
        message: () => toPrompt(order()),
        withLatency: true,
      })
    try {
      return await withServices(bench, { env: { CC_EXECUTOR_CONCURRENCY: '128' } }, async (services) => {
        const results = await inTurn<Figures>(bench.rounds, [
          ...(websocketd ? [{ name: 'websocketd', measure: fromPeer(websocketd.port) }] : []),
          ...(node ? [{ name: 'node', measure: fromPeer(node.port) }] : []),
          ...services.map((service) => ({
            name: service.checkout.name,
            async measure() {
              await settle(service)
              const before = cpuByPart(service)
              const read = await watchRun(bench, service, order(), { connections: runs, withLatency: true })
              const after = cpuByPart(service)
              const usPerLine = (part: keyof CpuByPart): number => ((after[part] - before[part]) * 1000) / read.lines
              return { ...read, cpu: { api: usPerLine('api'), worker: usPerLine('worker'), redis: usPerLine('redis') } }
            },
          })),
        ])
        const title = `${runs} × ${perSecond} lines/s: from the print to the subscriber`
        return [
          {
            id: `pace.${name}.p50`,
            title: `${title}, p50`,
            unit: 'ms',
            better: 'less',
            samples: pick(results, ({ p50Ms }) => p50Ms),
            goals: [{ against: 'websocketd', isDifference: true, atMost: 0.4 }],
          },
          {
            id: `pace.${name}.p99`,
            title: `${title}, p99`,
            unit: 'ms',
            better: 'less',
            samples: pick(results, ({ p99Ms }) => p99Ms),
            goals: [{ against: 'websocketd', isDifference: true, atMost: 2 }],
          },
          ...(['api', 'worker', 'redis'] as const).map((part): Row => ({
            id: `pace.${name}.cpu-${part}`,
            title: `the same: CPU of the ${part} a line, starts of the runs included`,
            unit: 'us',
            better: 'less',
            samples: pick(results, ({ cpu }) => cpu?.[part]),
          })),
        ]
      })
    } finally {
      await websocketd?.close()
      await node?.close()
    }
  }
