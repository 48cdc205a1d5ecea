// Lines from a program to one WebSocket, as fast as they go.
import { inTurn, pick, type Bench } from '../bench-context.js'
import { readSockets, toPrompt, watchRun, type LineKind, type Read } from '../clients.js'
import { openPeer, openWebsocketd } from '../peers/open-peer.js'
import type { Goal, Row } from '../rows.js'
import { cpuMsOf, pidsOf, settle, withServices, type Service } from '../service.js'

interface Kind {
  readonly name: string
  readonly title: string
  readonly kind: LineKind
  readonly bytes: number
  readonly lines: number
  readonly goals: readonly Goal[]
}

export const KINDS = {
  '200B': {
    name: '200B',
    title: 'lines of 200 B',
    kind: 'raw',
    bytes: 200,
    lines: 200_000,
    goals: [{ against: 'websocketd', atLeast: 1.7 }],
  },
  tools: {
    name: 'tools',
    title: 'messages of 200 B with one tool call',
    kind: 'tool',
    bytes: 200,
    lines: 150_000,
    goals: [{ against: 'websocketd', atLeast: 1.2 }],
  },
  calls: {
    name: 'calls',
    title: 'another tool call of 250 B each, which is two events',
    kind: 'call',
    bytes: 250,
    lines: 60_000,
    goals: [],
  },
  '2KB': {
    name: '2KB',
    title: 'lines of 2 KB',
    kind: 'raw',
    bytes: 2048,
    lines: 60_000,
    goals: [{ against: 'websocketd', atLeast: 0.8 }],
  },
  deltas: {
    name: 'deltas',
    title: 'text deltas of 60 B (lines of 300 B)',
    kind: 'delta',
    bytes: 300,
    lines: 300_000,
    goals: [],
  },
} as const satisfies Record<string, Kind>

interface Figures extends Read {
  readonly cpuMs?: number
}

/** A run of its own for each kind, so that `--only` can name one. */
export const benchRelay =
  ({ name, title, kind, bytes, lines, goals }: Kind) =>
  async (bench: Bench): Promise<Row[]> => {
    const { printer } = bench.programs
    const websocketd = await openWebsocketd(bench, printer)
    const node = await openPeer('socket-peer', [printer, '1'])
    const order = { kind, bytes, lines }
    const fromPeer = (port: number) => (): Promise<Read> =>
      readSockets(bench, { port, path: '/', lines, message: () => toPrompt(order) })
    try {
      return await withServices(bench, {}, async (services) => {
        const fromService = (service: Service) => async (): Promise<Figures> => {
          const before = cpuMsOf(pidsOf(service))
          const read = await watchRun(bench, service, order)
          await settle(service)
          return { ...read, cpuMs: cpuMsOf(pidsOf(service)) - before }
        }
        const lanes = [
          ...(websocketd ? [{ name: 'websocketd', measure: fromPeer(websocketd.port) }] : []),
          { name: 'node', measure: fromPeer(node.port) },
          ...services.map((service) => ({ name: service.checkout.name, measure: fromService(service) })),
        ]
        for (const { measure } of lanes) await measure()
        const results = await inTurn<Figures>(bench.rounds, lanes)
        return [
          {
            id: `relay.${name}.rate`,
            title: `relay, ${title}`,
            unit: '/s',
            better: 'more',
            samples: pick(results, (read) => (read.lines - 1) / read.seconds),
            goals,
          },
          {
            id: `relay.${name}.cpu`,
            title: 'the same: CPU of API, worker and Redis a line, sealing included',
            unit: 'us',
            better: 'less',
            samples: pick(results, ({ cpuMs }) => (cpuMs === undefined ? undefined : (cpuMs * 1000) / lines)),
          },
          {
            id: `relay.${name}.end`,
            title: `the same: from the last of ${lines} lines to the end of the run`,
            unit: 'ms',
            better: 'less',
            samples: pick(
              Object.fromEntries(services.map(({ checkout }) => [checkout.name, results[checkout.name] ?? []])),
              ({ endMs }) => endMs,
            ),
            goals: name === '200B' ? [{ atMost: 100 }] : [],
          },
        ]
      })
    } finally {
      await websocketd?.close()
      await node.close()
    }
  }
