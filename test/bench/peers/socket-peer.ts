// What the relay is measured against: one Node.js process that starts the program and sends each of its lines to each
// of the sockets. socket-peer.js PROGRAM SOCKETS; says its port. When so many sockets have sent a line, the program
// gets it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { WebSocketServer, type WebSocket } from 'ws'

const [program = '', count = '1'] = process.argv.slice(2)
const HIGH_WATER_BYTES = 1024 * 1024

async function relay(order: string, sockets: readonly WebSocket[]): Promise<void> {
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.write(`${order}\n`)
  const lines = createInterface({ input: child.stdout })
  let seq = 0
  lines.on('line', (line) => {
    seq += 1
    const text = `{"jsonrpc":"2.0","method":"event","params":{"seq":${seq},"line":${line}}}`
    for (const socket of sockets) socket.send(text)
    if (line.startsWith('{"type":"result"')) child.stdin.end()
    // One that does not keep up must not fill the memory; the program then waits for its pipe.
    if (sockets.some(({ bufferedAmount }) => bufferedAmount > HIGH_WATER_BYTES)) lines.pause()
  })
  const drained = setInterval(() => {
    if (sockets.every(({ bufferedAmount }) => bufferedAmount < HIGH_WATER_BYTES)) lines.resume()
  }, 1)
  await once(lines, 'close')
  clearInterval(drained)
  for (const socket of sockets) socket.close()
}

let waiting: WebSocket[] = []
const http = createServer()
const server = new WebSocketServer({ server: http, perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.once('message', (message: Buffer) => {
    socket.send('{}')
    waiting.push(socket)
    if (waiting.length < Number(count)) return
    const sockets = waiting
    waiting = []
    void relay(message.toString(), sockets)
  })
})
http.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(http.address() as AddressInfo).port}\n`))
