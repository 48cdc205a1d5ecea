// A log of 100,000 events, read back in each of the ways.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inTurn, pick, type Bench } from '../bench-context.js'
import { readBack, readSockets, runToEnd, subscribeMessage, toPrompt } from '../clients.js'
import { openPeer } from '../peers/open-peer.js'
import { BASE, type Goal, type Row } from '../rows.js'
import { settle, withServices, type Service } from '../service.js'

const LINES = 100_000

async function makeLog(service: Service): Promise<string> {
  const id = await runToEnd(service, toPrompt({ kind: 'raw', bytes: 200, lines: LINES }))
  await settle(service)
  return id
}

export async function benchReadBack(bench: Bench): Promise<Row[]> {
  return withServices(bench, {}, async (services) => {
    const logs = await Promise.all(services.map(async (service) => ({ service, id: await makeLog(service) })))
    const first = logs[0]
    if (!first) return []
    // The peer streams the very bytes that our export has.
    const file = join(bench.folder, 'events.ndjson')
    const { service, id } = first
    const exported = await fetch(`http://127.0.0.1:${service.port}/executions/${id}/events`, {
      headers: { authorization: `Bearer ${service.token}`, accept: 'application/x-ndjson' },
    })
    await writeFile(file, Buffer.from(await exported.arrayBuffer()))
    const peer = await openPeer('http-peer', ['file', file])
    const ways: Array<{
      name: string
      title: string
      goals: Goal[]
      read: (log: (typeof logs)[number]) => Promise<number>
    }> = [
      {
        name: 'pages',
        title: 'pages of 100',
        goals: [{ against: BASE, atLeast: 8 }],
        read: ({ service: { port, token }, id }) =>
          perSecond(
            readBack(bench, 'pages', { port, token, path: `/executions/${id}/events?limit=100&after=############` }),
          ),
      },
      {
        name: 'sse',
        title: 'SSE',
        goals: [{ against: 'file', atLeast: 0.5 }],
        read: ({ service: { port, token }, id }) =>
          perSecond(
            readBack(bench, 'read', {
              port,
              token,
              path: `/executions/${id}/events`,
              headers: 'Accept: text/event-stream',
            }),
          ),
      },
      {
        name: 'websocket',
        title: 'WebSocket',
        goals: [{ against: 'file', atLeast: 0.5 }],
        read: async ({ service: { port, token }, id }) => {
          const read = await readSockets(bench, {
            port,
            path: '/ws',
            token,
            lines: LINES,
            end: '"subscription.closed"',
            message: () => subscribeMessage(id),
          })
          return LINES / (read.begunToFirstMs / 1000 + read.seconds)
        },
      },
      {
        name: 'ndjson',
        title: 'NDJSON',
        goals: [{ against: 'file', atLeast: 0.7 }],
        read: ({ service: { port, token }, id }) =>
          perSecond(
            readBack(bench, 'read', {
              port,
              token,
              path: `/executions/${id}/events`,
              headers: 'Accept: application/x-ndjson',
            }),
          ),
      },
    ]
    try {
      const rows: Row[] = []
      for (const { name, title, goals, read } of ways) {
        const lanes = [
          { name: 'file', measure: () => perSecond(readBack(bench, 'read', { port: peer.port, path: '/file' })) },
          ...logs.map((log) => ({
            name: log.service.checkout.name,
            async measure() {
              await settle(log.service)
              return read(log)
            },
          })),
        ]
        const results = await inTurn(bench.rounds, lanes)
        rows.push({
          id: `read-back.${name}`,
          title: `reading back ${LINES} events: ${title}`,
          unit: 'events/s',
          better: 'more',
          samples: pick(results, (rate) => rate),
          goals,
        })
      }
      return rows
    } finally {
      await peer.close()
      await rm(file)
    }
  })
}

/** @throws Error where an event is missing */
async function perSecond(reading: Promise<{ lines: number; seconds: number }>): Promise<number> {
  const { lines, seconds } = await reading
  if (lines !== LINES) throw new Error(`${lines} events of ${LINES} were read back`)
  return lines / seconds
}
