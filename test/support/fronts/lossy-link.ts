// A link that loses the answer to the first POST: the service has taken it, and whoever sent it cannot know.
import { createServer, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { once } from '../deadlines.js'

export interface LossyLink {
  readonly port: number
  /** POSTs that came over it since the last call. */
  takeCount(): number
}

/** @param lose what becomes of the answer: nothing at all comes, or a front says that it waited in vain */
export async function openLossyLink(
  t: Test,
  target: string,
  lose: (answer: ServerResponse) => void,
): Promise<LossyLink> {
  let posts = 0
  const server = createServer((incoming, outgoing) => {
    const isLost = incoming.method === 'POST' && ++posts === 1
    const { host } = new URL(target)
    const headers = { ...incoming.headers, host }
    const onward = request(target + (incoming.url ?? ''), { method: incoming.method, headers, agent: false })
    onward.on('response', (response) => {
      if (isLost) {
        response.resume().on('end', () => lose(outgoing))
        return
      }
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    takeCount() {
      const count = posts
      posts = 0
      return count
    },
  }
}
