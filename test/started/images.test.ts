// The images and the compose files, run by podman as they stand: npm run test:images builds the images and names them.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { makeFolder, until } from '../support/processes.js'
import { podman, runOnce, up, type Project } from './compose.js'
import { ask } from './scene.js'
import { startedEnvironment, TOKENS, type Started } from './started-service.js'
import { walk } from './walk.js'

const images = process.env['CC_EXECUTOR_TEST_IMAGES']
const skip = images === undefined ? 'only in npm run test:images, which builds them' : false
const DEADLINE_MS = 15 * 60_000
const START_DEADLINE_MS = 5 * 60_000

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return String(typeof address === 'object' && address !== null ? address.port : 0)
}

/** Of those of the other starts: what a container knows by itself is not handed in. */
function settingsOfWalk(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(startedEnvironment('/nowhere')).flatMap(([name, value]) =>
      /^CC_EXECUTOR_(?!DATA_DIR|SANDBOX|HOST|PORT|CLAUDE_BIN|DRAIN)/.test(name) && value !== undefined
        ? [[name, value]]
        : [],
    ),
  )
}

const healthy = async (project: Project, service: string): Promise<boolean> =>
  podman('healthcheck', 'run', project.name(service)).then(
    () => true,
    () => false,
  )

/** Safe: run-images.mjs writes it. */
const named = JSON.parse(images ?? '{}') as Record<string, string>

/** `up -d --wait`, with ports of its own. @returns where it is published */
async function startProject(
  t: Test,
  options: Pick<Parameters<typeof up>[0], 'files' | 'folder'> & { name: string; variables?: Record<string, string> },
): Promise<{ project: Project; url: string }> {
  const { name, variables, ...where } = options
  const [port, original] = [await freePort(), await freePort()]
  const project = await up({
    ...where,
    project: `cce-${process.pid}-${name}`,
    variables: { ...named, PUBLISH_PORT: port, PUBLISH_ORIGINAL_PORT: original, ...variables },
  })
  t.teardown(() => project.down())
  for (const service of project.services)
    await until(() => healthy(project, service), `${service} is healthy`, START_DEADLINE_MS).catch(
      async (error: unknown) => {
        // On the two channels that it came from.
        const { stdout, stderr } = await promisify(execFile)('podman', ['logs', '--tail=20', project.name(service)])
        throw new Error(`${String(error)}: ${stdout}${stderr}`)
      },
    )
  return { project, url: `http://127.0.0.1:${port}` }
}

async function start(t: Test): Promise<Started & { project: Project }> {
  const files = ['compose.yaml', 'compose.simulate.yaml']
  const { project, url } = await startProject(t, { name: 'walk', files, variables: settingsOfWalk() })
  t.same(project.services, ['redis', 'api', 'worker', 'simulator'])
  return {
    project,
    url,
    folder: '/data',
    freezeRedis: async (isFrozen) => {
      const state = await podman('inspect', '--format', '{{.State.Status}}', project.name('redis'))
      if ((state === 'paused') !== isFrozen) await podman(isFrozen ? 'pause' : 'unpause', project.name('redis'))
    },
  }
}

/** What an allowed Bash tool of a run wrote. */
async function runBash(url: string, command: string, more: Record<string, unknown> = {}): Promise<string> {
  const script = [{ tool: 'Bash', input: { command: `{ ${command}; } > out 2>&1` } }, { text: 'Done.' }]
  const { body } = await ask(url, {
    method: 'POST',
    path: '/execute',
    body: { prompt: scripted(...script), allowedTools: ['Bash'], ...more },
    headers: { prefer: 'wait=50' },
  })
  const { id, status, outcome } = body as Execution
  if (status !== 'succeeded') throw new Error(`${status}: ${JSON.stringify(outcome)}`)
  return (await ask(url, { method: 'GET', path: `/executions/${id}/files/out` })).text
}

async function keepsRunsApart(t: Test, { url, project }: Started & { project: Project }): Promise<void> {
  const address = async (service: string): Promise<string> =>
    podman('inspect', '--format', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', project.name(service))
  const api = (await address('api')).trim()
  const gateways = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
  const port = new URL(url).port
  const found = await runBash(
    url,
    [
      'id -u',
      'ls /run/cc-executor',
      'ls /data/workspaces | wc -l',
      'echo x > /etc/x',
      `for host in ${api} ${gateways.filter((host) => host.includes('.')).join(' ')} api redis simulator; do
         for port in 8001 8010 6379 ${port}; do
           timeout 3 bash -c "exec 3<>/dev/tcp/$host/$port" 2>/dev/null && echo "reached $host $port"
         done
       done`,
      'echo kept > /dev/shm/kept',
      'echo kept > /tmp/kept',
      'echo "TMPDIR $TMPDIR"',
      'ulimit -u',
      'true',
    ].join('\n'),
  )
  t.match(found, /cannot access '\/run\/cc-executor'/, 'neither the socket of Redis nor its password')
  t.match(found, /\/etc\/x: (?:Read-only file system|Permission denied)/)
  t.same(
    [...found.matchAll(/^reached (.*)$/gm)].map(([, where]) => where),
    ['simulator 8010'],
    'and nothing of the service',
  )
  t.match(found, /^TMPDIR \/data\/\S+/m)
  t.match(found, /^512$/m, 'processes of its own')
  const next = await runBash(url, 'ls /dev/shm /tmp')
  t.notMatch(next, /kept/, 'nor what a run before it has left')
  t.match(await runBash(url, 'cat /proc/net/route | wc -l', { sandbox: 'locked' }), /^[01]$/m, 'locked: no network')
}

async function hidesThePassword(t: Test, { project }: { project: Project }): Promise<void> {
  const password = await project.exec('api', 'cat', '/run/cc-executor/password')
  t.match(password, /^[0-9a-f]{64}$/)
  for (const service of ['redis', 'api', 'worker']) {
    t.notMatch(await podman('inspect', project.name(service)), password, `inspect ${service}`)
    t.notMatch(await podman('top', project.name(service), 'args'), password, `the processes of ${service}`)
  }
  await t.rejects(
    project
      .exec('redis', 'valkey-cli', '-s', '/run/cc-executor/redis.sock', 'ping')
      .then((said) => (/NOAUTH/.test(said) ? Promise.reject(new Error(said)) : said)),
    'without it Redis says nothing',
  )
}

void t.test(
  'the images, started by compose.yaml, answer all that they document',
  { skip, timeout: DEADLINE_MS },
  async (t) => {
    const started = await start(t)
    const { project, url } = started
    t.same(
      (await project.exec('worker', 'sh', '-c', 'find /app/dist -name "*.map" -o -path "*/dist/test"')).trim(),
      '',
      'no source maps, no tests',
    )
    await t.test('what runs is contained', async (t) => {
      const ready = (await ask(url, { method: 'GET', path: '/health/ready' })).body
      t.match(ready, { status: 'ok' }, JSON.stringify(ready).slice(0, 500))
      await keepsRunsApart(t, started)
    })
    await t.test('worker-full has what agents use', async (t) => {
      const { CC_IMAGE = '', CC_VERSION = '' } = named
      const programs = 'curl git ssh python3 jq make gcc rg unzip less'
      const look = `for name in ${programs}; do command -v $name || echo "no $name"; done`
      const found = await runOnce(`${CC_IMAGE}-worker-full:${CC_VERSION}`, look)
      t.notMatch(found, /^no /m)
    })
    await t.test('the password of Redis', (t) => hidesThePassword(t, started))
    await t.test('a Host that is not served', async (t) => {
      const asked = async (path: string): Promise<string> =>
        project.exec(
          'api',
          'node',
          '-e',
          `require('http').get({port:8001,path:'${path}',headers:{host:'proxy.example'}},(r)=>{console.log(r.statusCode);process.exit()})`,
        )
      t.equal(await asked('/health/live'), '200')
      t.equal(await asked('/executions'), '421')
    })
    await t.test('the command line and doctor in the containers', async (t) => {
      t.match(
        await podman('exec', `--env=CC_EXECUTOR_TOKEN=${TOKENS.all}`, project.name('api'), 'cc-executor', 'list'),
        /.*/,
      )
      for (const [service, there, absent] of [
        ['api', /port: cc-executor \S+ runs on 0\.0\.0\.0:8001 already/, /^\S+ +(?:claude|containment|credentials)/m],
        ['worker', /containment: bubblewrap: sandbox workspace, locked/, /^\S+ +(?:token|port)/m],
      ] as const) {
        const said = await project.exec(service, 'cc-executor', 'doctor')
        t.match(said, there)
        t.notMatch(said, /^(?:FAIL|warn)/m, service)
        t.notMatch(said, absent, `${service}: only what is there`)
      }
    })
    await walk(t, started)
  },
)

void t.test(
  'one file in an empty folder starts it from published images',
  { skip, timeout: DEADLINE_MS },
  async (t) => {
    const folder = await makeFolder(t)
    const { stdout } = await promisify(execFile)(process.execPath, ['deployment/publish.mjs'])
    await writeFile(join(folder, 'compose.yaml'), stdout)
    const { project, url } = await startProject(t, { name: 'alone', folder, files: ['compose.yaml'] })
    t.same(project.services, ['redis', 'api', 'worker'])
    // podman gives the log on the two channels that it came from.
    const { stderr } = await promisify(execFile)('podman', ['logs', project.name('api')])
    t.match(stderr, 'its token, made now, is in /data/token; to print it: docker compose exec api cc-executor token')
    const token = await project.exec('api', 'cc-executor', 'token')
    t.notMatch(stderr, token)
    const authorization = `Bearer ${token}`
    t.equal((await ask(url, { method: 'GET', path: '/executions', headers: { authorization } })).status, 200)
    const { workers } = (await ask(url, { method: 'GET', path: '/health/ready' })).body as Record<string, unknown>
    t.match(
      workers,
      [{ containment: { strong: true, sandboxes: ['workspace', 'locked'] }, authentication: { method: 'none' } }],
      'its runs are contained without a filter of system calls beside the file, and want an account',
    )
  },
)
