import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeFolder, type Teardown } from '../support/processes.js'
import { checkInvariants } from './invariants.js'
import { openLink } from './link.js'
import { openScene, RESULT, type Watched } from './scene.js'
import { once, until } from '../support/deadlines.js'

const NAME = 'redis.cce.test'
/** The C library asks at this one. */
const DNS_PORT = 53
const TYPE_A = 1
const HEADER_BYTES = 12
/** Much longer than a look-up that was asked in time, and much less than all that were asked meanwhile in a row. */
const BACK_MS = 30_000

interface NameServer {
  readonly address: string
  /** undefined: it says nothing to anybody. */
  answer: readonly number[] | undefined
  /** Questions that it has left without an answer. */
  ignored(): number
}

/** A name server for one name, at an address of this machine's own. */
async function openNameServer(t: Teardown, host: string): Promise<NameServer> {
  const socket = createSocket('udp4')
  let ignored = 0
  const server: NameServer = { address: host, answer: undefined, ignored: () => ignored }
  socket.on('message', (question, { port, address }) => {
    if (server.answer === undefined) return void (ignored += 1)
    // The name, then two bytes of the type and two of the class.
    const end = question.indexOf(0, HEADER_BYTES) + 5
    const isAddress = question.readUInt16BE(end - 4) === TYPE_A
    const header = Buffer.from(question.subarray(0, HEADER_BYTES))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(isAddress ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    // The name as above, A, IN, for no time at all, four bytes.
    const found = isAddress
      ? Buffer.from([0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...server.answer])
      : Buffer.alloc(0)
    socket.send(Buffer.concat([header, question.subarray(HEADER_BYTES, end), found]), port, address)
  })
  socket.bind(DNS_PORT, host)
  await once(socket, 'listening')
  t.teardown(async () => {
    socket.close()
    await once(socket, 'close')
  })
  return server
}

/** What stands before a command whose look-ups go to this file's name server, alone; undefined where that cannot be. */
async function ownResolver(t: Teardown, address: string): Promise<readonly string[] | undefined> {
  const file = join(await makeFolder(t), 'resolv.conf')
  await writeFile(file, `nameserver ${address}\n`)
  const inside: readonly string[] = [
    'unshare',
    '--mount',
    '/bin/sh',
    '-c',
    `mount --bind ${file} /etc/resolv.conf && exec "$0" "$@"`,
  ]
  const [program, ...args] = inside
  const { status, stdout } = spawnSync(program ?? '', [...args, 'cat', '/etc/resolv.conf'], { encoding: 'utf8' })
  return status === 0 && stdout.includes(address) ? inside : undefined
}

const lengthOf = ({ seen }: Watched): number => Math.min(...seen.map(({ length }) => length))

/** The outages that a process has told of in its log, with what it counted in each. */
function readOutages(log: string): Array<Record<string, number>> {
  return log
    .split('\n')
    .filter((line) => line.includes('"Redis is back"'))
    .map((line) => (JSON.parse(line) as { errors: Record<string, number> }).errors)
}

/**
 * A name server that answers nothing while Redis restarts, and while it moves to another address, as it is with
 * containers: nobody waits for it who need not, and what was asked in vain keeps nobody from asking again.
 */
export async function silenceDns(t: Test, seed: string): Promise<void> {
  const dns = await openNameServer(t, '127.53.0.53').catch((error: unknown) => String(error))
  if (typeof dns === 'string') return void t.pass('name server', { skip: `there can be none here (${dns})` })
  const resolver = await ownResolver(t, dns.address)
  if (!resolver) return void t.pass('resolver', { skip: 'a process cannot have one of its own here (unshare, mount)' })
  const scene = await openScene(t, { name: 'silenceDns', seed, env: { CC_EXECUTOR_LOCK_SECONDS: '90' } })
  const { redis, cluster } = scene
  const [here, there] = [
    [127, 0, 0, 1],
    [127, 0, 0, 2],
  ]
  const way = await openLink(t, redis.socket)
  const elsewhere = await openLink(t, redis.socket, { host: there.join('.'), port: way.port })
  elsewhere.cut()
  dns.answer = here
  const env = { REDIS_URL: `redis://${NAME}:${way.port}`, LOG_LEVEL: 'info' }
  const command = [...resolver, process.execPath]
  const [api, worker] = await Promise.all([scene.openApi(env, command), scene.openWorker(env, command)])

  const go = join(cluster.folder, 'go')
  const execution = await scene.submit('stream', [{ ticks: 10_000, everyMs: 100, until: go }, RESULT])
  await until(() => execution.has('claude.message'), 'it runs')
  const goesOn = async (when: string): Promise<void> => {
    const before = lengthOf(execution)
    await until(() => lengthOf(execution) > before + 2, `the run goes on, and is seen, ${when}`, BACK_MS)
  }

  // It restarts where it was: what was known counts.
  dns.answer = undefined
  await redis.end('SIGKILL')
  const asked = dns.ignored()
  await until(() => dns.ignored() > asked + 2, 'they ask in vain')
  // Served from files: while nobody answers, file work does.
  for (let count = 0; count < 5; count += 1)
    t.equal((await fetch(`${api.url}/docs/static/swagger-ui.css`)).status, 200, 'files are read meanwhile')
  await redis.start()
  await goesOn('while DNS is still silent')

  // It moves: only the name server knows where to.
  way.cut()
  elsewhere.mend()
  const before = dns.ignored()
  await until(() => dns.ignored() > before + 10, 'they ask in vain for a while')
  dns.answer = there
  await goesOn('as soon as DNS has said where it is')
  const next = await scene.submit('next', [{ ticks: 3, everyMs: 10 }, RESULT])
  t.match(await scene.ended(next), { status: 'succeeded' }, 'and the worker takes work')

  for (const { stderr } of [api, worker]) {
    const outages = readOutages(stderr())
    t.comment(JSON.stringify(outages))
    t.ok(outages.length > 0, 'the end of an outage is told')
    t.ok(
      outages.some((errors) => Object.values(errors).reduce((sum, count) => sum + count, 0) > 1),
      'with every error, not only the first',
    )
  }
  await writeFile(go, '')
  t.match(await scene.ended(execution), { status: 'succeeded' })
  await checkInvariants(t, scene)
}
