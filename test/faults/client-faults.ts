import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { FIXTURES } from '../support/paths.js'
import { tryKill, type CliProcess } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { openLink } from './link.js'
import { INIT, openScene, RESULT, type Scene } from './scene.js'
import { eventually, until } from '../support/deadlines.js'

const SOCKETS = 8
const LINES = 1_200
/** With its envelope: far more than the kernel keeps for a socket, so that whoever does not read is behind. */
const LINE_BYTES = 20_000
const MIB = 1024 * 1024
/** What the API may take beside its first measure, however much there is to read and however many read it. */
const MARGIN_BYTES = 300 * MIB

interface Said {
  readonly first?: true
  readonly closed?: number
  readonly after?: number
  readonly whole?: boolean
  readonly last?: number
}

async function startClient(t: Test, { cluster, apis: [api] }: Scene, port: number | undefined, executionId: string) {
  const { host = '' } = api ? new URL(api.url) : {}
  const token = (await readFile(join(cluster.folder, 'data', 'token'), 'utf8')).trim()
  const child = spawn(
    process.execPath,
    [
      join(FIXTURES, 'slow-client.mjs'),
      `ws://${port === undefined ? host : `127.0.0.1:${port}`}/ws`,
      host,
      token,
      executionId,
      String(SOCKETS),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const exited = eventually(child, 'exit')
  const { pid = 0 } = child
  t.teardown(async () => {
    tryKill(pid)
    await exited
  })
  const said = (): Said[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Said)
  await until(() => said().filter(({ first }) => first).length === SOCKETS, 'each socket has its first event')
  return { said, send: (signal: NodeJS.Signals) => tryKill(pid, signal) }
}

const memoryOf = (pid: number, field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
const socketsOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length

/**
 * Clients that are frozen, killed in that state, and lost behind a black hole, while a flood goes by: each delays only
 * itself.
 */
export async function loseClients(t: Test, seed: string): Promise<void> {
  const scene = await openScene(t, {
    name: 'loseClients',
    seed,
    env: { CC_EXECUTOR_WRITE_DEADLINE_SECONDS: '1.5', CC_EXECUTOR_LOCK_SECONDS: '20', LOG_LEVEL: 'info' },
    transports: ['websocket', 'sse'],
  })
  const { cluster, random } = scene
  const [api] = await Promise.all([scene.openApi(), scene.openWorker()])
  const go = join(cluster.folder, 'go')
  const line = `${JSON.stringify({ type: 'assistant', message: { id: 'flood', content: [{ type: 'text', text: 'x'.repeat(LINE_BYTES) }] } })}\n`
  const execution = await scene.submit('flood', [INIT, { file: go }, { repeat: line, times: LINES }, RESULT])
  await until(() => execution.has('claude.message'), 'it runs')
  const before = { bytes: memoryOf(api.pid, 'VmRSS'), sockets: socketsOf(api.pid) }
  const link = await openLink(t, Number(new URL(api.url).port))
  const [frozen, killed, lost] = await Promise.all([
    startClient(t, scene, undefined, execution.id),
    startClient(t, scene, undefined, execution.id),
    startClient(t, scene, link.port, execution.id),
  ])
  frozen.send('SIGSTOP')
  killed.send('SIGSTOP')
  link.hold()
  await writeFile(go, '')

  await closings(api, SOCKETS)
  frozen.send('SIGCONT')
  t.match(await scene.ended(execution), { status: 'succeeded' }, 'who reads has everything meanwhile')
  killed.send('SIGKILL')
  await closings(api, 3 * SOCKETS)
  await until(() => socketsOf(api.pid) <= before.sockets + SOCKETS, 'the sockets of those who are gone are closed')
  link.mend()
  const { lastSeq } = await cluster.get(api, execution.id)
  for (const client of random.shuffle([frozen, lost])) {
    await until(
      () => client.said().filter(({ whole }) => whole !== undefined).length === SOCKETS,
      'each comes back and reads to the end',
    )
    const said = client.said()
    t.ok(
      said.filter(({ last }) => last !== undefined).every(({ whole, last }) => whole === true && last === lastSeq),
      'by its cursor: each event once',
    )
    t.ok(said.filter(({ closed }) => closed !== undefined).length >= SOCKETS, 'after each was closed')
  }
  // How soon it looks is the machine's matter: after two seconds the API waits no longer for it to take the reason.
  t.ok(
    frozen.said().every(({ closed = 1013 }) => closed === 1013 || closed === 1006),
    'told why, or cut off',
  )
  t.comment(`1013: ${frozen.said().filter(({ closed }) => closed === 1013).length} of ${SOCKETS}`)
  const grown = memoryOf(api.pid, 'VmHWM') - before.bytes
  t.comment(
    `API: ${Math.round(before.bytes / MIB)} MiB before, at most ${Math.round(grown / MIB)} MiB more, ` +
      `for ${3 * SOCKETS} readers of ${Math.round((LINES * LINE_BYTES) / MIB)} MiB that did not read`,
  )
  t.ok(grown < MARGIN_BYTES, 'memory is bounded')
  await checkInvariants(t, scene)
}

const countClosings = (api: CliProcess): number => api.stderr().split('accepted no data for too long').length - 1
/** The API tells of each reader that it gives up. */
const closings = (api: CliProcess, count: number): Promise<void> =>
  until(() => countClosings(api) >= count, `${count} readers are given up`)
