// One run before 1,000 subscribers, and what a subscriber costs that hears nothing.
import { setTimeout } from 'node:timers/promises'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { call, readSockets, subscribeMessage, toPrompt, type Order, type Read } from '../clients.js'
import { openPeer } from '../peers/open-peer.js'
import type { Row } from '../rows.js'
import { forgetPeak, memoryOf, settle, withServices, type Service } from '../service.js'

const SUBSCRIBERS = 1_000
const LINES = 4_000
/** A send loop takes as many seconds for these. */
const LOOP_LINES = 400
const IDLE_SOCKETS = 4_000
/** An API that rests gives back what connecting took (`REST_MS` and a collection; src/platform/memory). */
const AT_REST_MS = 20_000
/** Until then all have subscribed; where they have not, the figure counts for nothing, and they get more time. */
const DELAY_MS = 1_500
const MAX_DELAY_MS = 10_000

interface Figures extends Read {
  readonly peakMb?: number
}

async function fanOut(bench: Bench, service: Service, kind: 'raw' | 'delta', delayMs = DELAY_MS): Promise<Figures> {
  const order: Order = { kind, bytes: kind === 'raw' ? 200 : 300, lines: LINES, delayMs }
  const [api = 0] = service.apiPids
  const read = await readSockets(bench, {
    port: service.port,
    path: '/ws',
    token: service.token,
    connections: SUBSCRIBERS,
    lines: LINES,
    end: '"subscription.closed"',
    messages: async () => {
      const { id } = await call<{ id: string }>(service, '/execute', { prompt: toPrompt(order) })
      return Array.from({ length: SUBSCRIBERS }, () => subscribeMessage(id))
    },
    onReady: () => Promise.resolve(forgetPeak(api)),
  })
  const peakMb = memoryOf(api, 'VmHWM') / 1024
  await settle(service)
  if (read.readyBeforeFirst) return { ...read, peakMb }
  if (delayMs > MAX_DELAY_MS) throw new Error('the subscribers came too late: the machine is too busy for this row')
  return fanOut(bench, service, kind, delayMs * 3)
}

export async function benchFanOut(bench: Bench): Promise<Row[]> {
  const { printer } = bench.programs
  const loop = await openPeer('socket-peer', [printer, String(SUBSCRIBERS)])
  const loopOrder: Order = { kind: 'raw', bytes: 200, lines: LOOP_LINES }
  const byLoop = (): Promise<Read> =>
    readSockets(bench, {
      port: loop.port,
      path: '/',
      connections: SUBSCRIBERS,
      lines: LOOP_LINES,
      message: () => toPrompt(loopOrder),
    })
  try {
    return await withServices(bench, {}, async (services) => {
      const lanes = (kind: 'raw' | 'delta') => [
        ...(kind === 'raw' ? [{ name: 'send-loop', measure: byLoop }] : []),
        ...services.map((service) => ({
          name: service.checkout.name,
          measure: () => fanOut(bench, service, kind),
        })),
      ]
      const raw = await inTurn<Figures>(bench.rounds, lanes('raw'))
      const delta = await inTurn<Figures>(1, lanes('delta'))
      return [
        {
          id: 'fan-out.rate',
          title: `${SUBSCRIBERS} subscribers of one run, lines of 200 B`,
          unit: 'deliveries/s',
          better: 'more',
          samples: pick(raw, (read) => read.lines / read.seconds),
          goals: [{ against: 'send-loop', atLeast: 30 }],
        },
        {
          id: 'fan-out.peak',
          title: 'the same: peak RSS of the API',
          unit: 'MB',
          better: 'less',
          samples: pick(raw, ({ peakMb }) => peakMb),
          goals: [{ atMost: 170 }],
        },
        {
          id: 'fan-out.deltas',
          title: 'the same with text deltas',
          unit: 'deliveries/s',
          better: 'more',
          samples: pick(delta, (read) => read.lines / read.seconds),
        },
      ]
    })
  } finally {
    await loop.close()
  }
}

/** On a fresh service each: memory that an API once had it keeps. */
export async function benchIdleSockets(bench: Bench): Promise<Row[]> {
  const measured = await withServices(bench, { workers: 0 }, (services) =>
    inTurn(
      1,
      services.map((service) => ({
        name: service.checkout.name,
        async measure() {
          const { id } = await call<{ id: string }>(service, '/execute', { prompt: 'waits' })
          const [api = 0] = service.apiPids
          await settle(service)
          const before = memoryOf(api, 'VmRSS')
          let connected = 0
          let subscribed = 0
          await readSockets(bench, {
            port: service.port,
            path: '/ws',
            token: service.token,
            connections: IDLE_SOCKETS,
            lines: 0,
            message: () => subscribeMessage(id),
            onConnected: async () => {
              await setTimeout(AT_REST_MS)
              connected = memoryOf(api, 'VmRSS')
            },
            onReady: async () => {
              await setTimeout(AT_REST_MS)
              subscribed = memoryOf(api, 'VmRSS')
            },
          })
          return { connected: (connected - before) / IDLE_SOCKETS, subscribed: (subscribed - before) / IDLE_SOCKETS }
        },
      })),
    ),
  )
  return [
    {
      id: 'idle-sockets.subscribed',
      title: `RSS of the API per idle subscribed socket, of ${IDLE_SOCKETS}`,
      unit: 'KiB',
      better: 'less',
      samples: pick(measured, ({ subscribed }) => subscribed),
      goals: [{ atMost: 14 }],
      isPortable: true,
    },
    {
      id: 'idle-sockets.connected',
      title: 'the same: of these while only connected',
      unit: 'KiB',
      better: 'less',
      samples: pick(measured, ({ connected }) => connected),
    },
  ]
}
