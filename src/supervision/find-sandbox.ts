import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { execa } from 'execa'

import type { Containment, ContainmentPrograms } from './containment-command.js'
import { canMapOwners } from './mapped-launcher.js'
import { PROXY_SOCKET } from './relay.js'
import { findCgroupPlace } from './run-cgroup.js'
import { EXPECTED_ANSWERS, EXPECTED_OF_ROOT, SANDBOX_ATTEMPTS } from './sandbox-attempts.js'
import { listPrivateFiles } from './sandbox-view.js'
import type { Sandbox, SandboxMeans, SandboxUser } from './sandbox.js'
import { startSupervised } from './supervised-process.js'

/** Only what hangs: see containment.ts. */
const DEADLINE_MS = 20_000

interface Place {
  readonly folder: string
  readonly port: number
  close(): Promise<void>
}

function listen(server: Server, where: string | number): Promise<void> {
  const listening = once(server, 'listening')
  if (typeof where === 'number') server.listen(where, '127.0.0.1')
  else server.listen(where)
  return listening.then(() => undefined)
}

/** Something on the host to look for, and the folders of a run. */
async function openPlace(): Promise<Place> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'cc-executor-sandbox-')))
  for (const name of ['workspace', 'home', 'proxy']) await mkdir(join(folder, name), { mode: 0o700 })
  await chmod(join(folder, 'proxy'), 0o755)
  await writeFile(join(folder, 'secret'), 'secret')
  // Nothing but this tells that it was reached.
  const [proxy, host, port] = [0, 1, 2].map(() =>
    createServer((socket) => socket.on('error', () => undefined).end('proxy\n')),
  )
  if (!proxy || !host || !port) throw new Error('Three servers were asked for.')
  await Promise.all([
    listen(proxy, join(folder, 'proxy', PROXY_SOCKET)),
    listen(host, join(folder, 'socket')),
    listen(port, 0),
  ])
  await chmod(join(folder, 'proxy', PROXY_SOCKET), 0o666)
  const address = port.address()
  return {
    folder,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      for (const server of [proxy, host, port]) server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Returns what is wrong with a level, or undefined where everything that it promises was tried and held. */
async function tryLevel(
  containment: Containment,
  level: Sandbox['level'],
  path: string,
  { folder, port }: Place,
): Promise<string | undefined> {
  const home = join(folder, 'home')
  const sandbox: Sandbox = {
    level,
    home,
    writable: [home],
    readable: [],
    sockets: [],
    hidden: [],
    protected: [],
    limits: { processes: 256 },
    proxyFolder: level === 'locked' ? join(folder, 'proxy') : undefined,
  }
  const args = [
    '--norc',
    '-c',
    SANDBOX_ATTEMPTS,
    'self-test',
    join(folder, 'secret'),
    join(folder, 'socket'),
    String(port),
    home,
  ]
  try {
    const child = await startSupervised({
      containment,
      file: 'bash',
      args,
      cwd: join(folder, 'workspace'),
      env: { PATH: path, HOME: home },
      sandbox,
      marker: `cc-executor-sandbox-test-${randomUUID()}`,
      readyTimeoutMs: DEADLINE_MS,
      heartbeatTimeoutMs: 2 * DEADLINE_MS,
    })
    const limit = setTimeout(() => void child.killAll().catch(() => undefined), DEADLINE_MS)
    try {
      const output = text(child.stdout)
      child.stderr.resume()
      child.release()
      child.stdin.end()
      await child.exited
      await child.killAll()
      return findShortcoming(await output, level)
    } finally {
      clearTimeout(limit)
      await child.killAll()
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function findShortcoming(output: string, level: Sandbox['level']): string | undefined {
  const answers = new Map(
    output
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const),
  )
  if (answers.get('uid') === undefined || answers.get('uid') === '0') return 'a run is root in it'
  if (!/^0+$/.test(answers.get('capabilities') ?? '')) return 'a run keeps capabilities in it'
  const ofRoot = process.getuid?.() === 0 ? EXPECTED_OF_ROOT : {}
  const expected = { ...EXPECTED_ANSWERS[level], ...ofRoot }
  const wrong = Object.entries(expected).filter(([name, answer]) => answers.get(name) !== answer)
  return wrong.length === 0
    ? undefined
    : wrong.map(([name]) => `${name.replaceAll('_', ' ')}: ${answers.get(name) ?? 'no answer'}`).join(', ')
}

/** Whether bubblewrap takes open folders; not every version does. */
async function bindsDescriptors(bwrap: string): Promise<boolean> {
  const { stdout } = await execa(bwrap, ['--help'], { reject: false, timeout: DEADLINE_MS })
  return stdout.includes('--bind-fd')
}

function listUsers({ setpriv, perl }: ContainmentPrograms): SandboxUser[] {
  if (process.getuid?.() !== 0) return ['workers']
  return setpriv !== undefined && perl !== undefined && canMapOwners ? ['mapped', 'renamed'] : ['renamed']
}

/**
 * The levels above `host` that this machine keeps, each tried with a hostile child; `why` is what stands in the way of
 * the first.
 */
export async function findSandbox(
  containment: Containment,
  path: string,
  signal: AbortSignal,
): Promise<{ means?: SandboxMeans; why: string }> {
  const { programs } = containment
  if (containment.level !== 'bubblewrap' || programs?.bwrap === undefined) return { why: 'it needs bubblewrap' }
  const { bwrap, prlimit, setpriv, perl } = programs
  if (prlimit === undefined) return { why: 'it needs prlimit (util-linux)' }
  const place = await openPlace()
  const reasons: string[] = []
  try {
    const withDescriptors = await bindsDescriptors(bwrap)
    const cgroups = await findCgroupPlace()
    for (const user of listUsers(programs)) {
      for (const cgroupNamespace of [true, false]) {
        signal.throwIfAborted()
        const means: SandboxMeans = {
          user,
          bwrap,
          prlimit,
          cgroupNamespace,
          bindsDescriptors: withDescriptors,
          levels: ['host', 'workspace', 'locked'],
          privateFiles: user === 'renamed' ? listPrivateFiles() : [],
          setpriv,
          perl,
          cgroups,
        }
        const attempt = { ...containment, sandbox: means }
        const reason = await tryLevel(attempt, 'workspace', path, place)
        if (reason !== undefined) {
          reasons.push(`${user}: ${reason}`)
          continue
        }
        const isLocked = perl !== undefined && (await tryLevel(attempt, 'locked', path, place)) === undefined
        return { means: isLocked ? means : { ...means, levels: ['host', 'workspace'] }, why: reasons.join('; ') }
      }
    }
    return { why: [...new Set(reasons)].join('; ') }
  } finally {
    await place.close()
  }
}
