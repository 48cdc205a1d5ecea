// Ports that stay as a test has left them, however many others are opened on the machine meanwhile.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once, repeat } from './deadlines.js'

/** Where the system's own choice begins: of ports that are asked for as 0, and of the near ends of connections. */
function firstOfChance(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10)
  } catch {
    return 32_768
  }
}

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, '127.0.0.1')
  const found = await listening
  if (found) await once(server.close(), 'close')
  return found
}

/** A port that can be closed and opened again: nobody else gets it by chance in between. */
export async function findLastingPort(): Promise<number> {
  const least = 10_000
  const count = Math.max(1_000, firstOfChance() - least)
  return repeat(async () => {
    const port = least + Math.floor(Math.random() * count)
    return (await isFree(port)) ? port : undefined
  }, 'a port is free')
}
