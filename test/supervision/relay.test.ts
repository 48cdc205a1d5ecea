// The relay of a run without network stands beside the run: it serves as long as the run lives, and ends with it, also
// where nobody else ends it.
import { spawn } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { findProgram, splitPath } from '../../src/supervision/find-program.js'
import { RELAY } from '../../src/supervision/relay.js'
import { once, until } from '../support/deadlines.js'
import { findLastingPort } from '../support/ports.js'
import { listMentioning } from '../support/processes.js'

const perl = await findProgram('perl', splitPath(process.env['PATH']), '/')

/** What the other side says; undefined where nobody listens yet. */
const ask = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    let said = ''
    const client = connect(port, '127.0.0.1')
    client.on('data', (chunk: Buffer) => (said += chunk.toString()))
    client.on('error', () => resolve(undefined))
    client.on('close', () => resolve(said))
  })

void t.test('the relay ends with the program that it was started for', { skip: !perl && 'no perl' }, async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-relay-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const socket = join(folder, 'proxy.sock')
  const server = createServer((client) => client.end('here')).listen(socket)
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const port = await findLastingPort()
  const command = ['sh', '-c', 'read line; exit 3']
  const child = spawn(perl ?? '', ['-e', RELAY, String(port), socket, ...command], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  await until(async () => (await ask(port)) === 'here', 'the relay listens')
  // Once more: it looks after its program each time.
  for (const which of [1, 2, 3]) t.equal(await ask(port), 'here', `${which}`)
  const ended = once(child, 'exit')
  child.stdin.end('end\n')
  await ended
  t.equal(child.exitCode, 3)
  await until(() => listMentioning(socket).length === 0, 'the relay has ended')
})
