// A client written for the original, as it stands, with a run that outlasts every heartbeat. Takes minutes of real
// time, so only in npm run test:all.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { WebSocket } from 'ws'
import { scripted, testEnvironment } from '../support/environment.js'
import { makeFolder, startCli } from '../support/processes.js'
import { once } from '../support/deadlines.js'

/**
 * Together longer than two pings and the silence after which a peer of /ws counts as gone; each shorter than the CLI's
 * own patience.
 */
const PIECES = { chunks: 4, delayMs: 25_000 }
const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false
const command = `claude -p '${scripted({ text: 'Still here.', ...PIECES })}'`
const MESSAGE = { jsonrpc: '2.0', method: 'execute', params: { command, timeout: 300 }, id: 1 }

/** As the original's documentation has it: everything of process.output, until process.completed. */
const PYTHON_CLIENT = `
import asyncio, json, sys, websockets

async def main():
    async with websockets.connect(sys.argv[1]) as websocket:
        await websocket.send(sys.argv[2])
        output = ""
        while True:
            message = json.loads(await websocket.recv())
            if message.get("method") == "process.output":
                output += message["params"]["data"]
            elif message.get("method") == "process.completed":
                print(json.dumps({"output": output, "exit_code": message["params"]["exit_code"]}))
                break

asyncio.run(main())
`

interface Heard {
  readonly output: string
  readonly exit_code: number
}

/** Answers no ping at all, neither the protocol's nor the application's. */
async function runDeafClient(url: string): Promise<Heard> {
  const socket = new WebSocket(url, { autoPong: false })
  await once(socket, 'open')
  socket.send(JSON.stringify(MESSAGE))
  let output = ''
  return new Promise((resolve, reject) => {
    socket.on('close', (code: number) => reject(new Error(`closed with ${code} after ${JSON.stringify(output)}`)))
    socket.on('message', (data: Buffer) => {
      const { method, params } = JSON.parse(data.toString()) as {
        method?: string
        params: { data: string; exit_code: number }
      }
      if (method === 'process.output') output += params.data
      if (method !== 'process.completed') return
      resolve({ output, exit_code: params.exit_code })
      socket.close()
    })
  })
}

async function findPython(): Promise<string | undefined> {
  for (const python of ['python3', '/usr/bin/python3']) {
    if (
      await promisify(execFile)(python, ['-c', 'import websockets']).then(
        () => true,
        () => false,
      )
    )
      return python
  }
  return undefined
}

void t.test(
  'clients of the original see a long run to its end, whether they answer pings or not',
  { skip, timeout: 600_000 },
  async (t) => {
    const folder = await makeFolder(t)
    const cli = startCli(t, ['start', '--simulate', '--open'], testEnvironment(folder))
    await cli.said(/Ctrl-C stops it/)
    const [, address = ''] = await cli.said(/address +http(\S+)/)
    const url = `ws${address}/ws/mcp`
    const expected = { output: 'Still here.\n', exit_code: 0 }
    const python = await findPython()
    const [deaf, fromPython] = await Promise.all([
      runDeafClient(url),
      python === undefined
        ? undefined
        : promisify(execFile)(python, ['-c', PYTHON_CLIENT, url, JSON.stringify(MESSAGE)], { cwd: join(folder) }),
    ])
    t.same(deaf, expected)
    if (fromPython) t.same(JSON.parse(fromPython.stdout), expected, 'the websockets library of Python')
    else t.comment('no Python with the websockets library was found; Debian has python3-websockets')
  },
)
