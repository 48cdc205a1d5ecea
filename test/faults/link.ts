import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from '../support/processes.js'
import { once } from '../support/deadlines.js'

type Direction = 'both' | 'answers'

/** The way from one process to a server, which can be cut, or lead nowhere. */
export interface Link {
  readonly port: number
  /** Every connection breaks, and no new one comes about until `mend`. */
  cut(): void
  /** A black hole: nothing passes and nobody is told. What was sent waits, up to what the kernel takes. */
  hold(direction?: Direction): void
  /** As `hold('answers')`, from the moment the text goes to the server; resolves then. */
  holdAnswersAfter(text: string): Promise<void>
  /** All is well again; what was held goes on. */
  mend(): void
  /** Where new connections go from now on; those that are open stay where they are. */
  lead(target: string | number): void
  /** As a firewall that has lost its memory: new connections pass, what was held goes on never. */
  forget(): void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  isLost: boolean
}

/** A proxy in front of a server: `first` is a socket's path or a port of this host. */
export async function openLink(
  t: Teardown,
  first: string | number,
  { host = '127.0.0.1', port: own = 0 } = {},
): Promise<Link> {
  let target = first
  const pairs = new Set<Pair>()
  let isCut = false
  let held: Direction | undefined
  let watching: { readonly text: string; readonly seen: () => void } | undefined

  function follow(pair: Pair): void {
    const { client, server } = pair
    if (held === 'both' || pair.isLost) client.pause()
    else client.resume()
    if (held !== undefined || pair.isLost) server.pause()
    else server.resume()
  }
  function holdAll(direction: Direction | undefined): void {
    held = direction
    for (const pair of pairs) follow(pair)
  }

  const proxy = createServer({ pauseOnConnect: true }, (client) => {
    if (isCut) return void client.destroy()
    const server = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target)
    const pair: Pair = { client, server, isLost: false }
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', end).on('close', end)
    client.on('data', (chunk) => {
      if (watching && chunk.includes(watching.text)) {
        holdAll('answers')
        watching.seen()
        watching = undefined
      }
      server.write(chunk)
    })
    server.on('data', (chunk) => client.write(chunk))
    follow(pair)
  })
  proxy.listen(own, host)
  await once(proxy, 'listening')
  // Not by resetAndDestroy: Node 20 then never comes to the end of its own exit.
  const breakAll = (): void => {
    for (const { client, server } of pairs) {
      client.destroy()
      server.destroy()
    }
  }
  t.teardown(async () => {
    isCut = true
    breakAll()
    proxy.close()
    await once(proxy, 'close')
  })
  // Safe: it listens on a port.
  const { port } = proxy.address() as AddressInfo
  return {
    port,
    cut() {
      isCut = true
      breakAll()
    },
    hold: (direction = 'both') => holdAll(direction),
    holdAnswersAfter: (text) => new Promise((seen) => (watching = { text, seen })),
    mend() {
      isCut = false
      holdAll(undefined)
    },
    lead: (next) => void (target = next),
    forget() {
      for (const pair of pairs) pair.isLost = true
      holdAll(undefined)
    },
  }
}
