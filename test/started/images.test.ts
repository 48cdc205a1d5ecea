// The images and the compose files, run by podman as they stand: npm run test:images builds the images and names them.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { scripted } from '../support/environment.js'
import { makeFolder } from '../support/processes.js'
import { podman, runOnce, type Project } from './compose.js'
import { DEADLINE_MS, named, skip, startProject } from './images-project.js'
import { ask } from './scene.js'
import { startedEnvironment, TOKENS, type Started } from './started-service.js'
import { walk } from './walk.js'

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

const ADMISSION = `
  import { lstatSync, mkdirSync } from 'node:fs'
  import { proveLocal, readLocalSecret } from '/app/dist/src/platform/local-proof.js'
  const folder = '/tmp/admitted'
  mkdirSync(folder, { recursive: true })
  const { dev, ino } = lstatSync(folder, { bigint: true })
  const claim = { folder, device: String(dev), inode: String(ino), issuedAt: Date.now() }
  console.log(JSON.stringify({ ...claim, proof: proveLocal(await readLocalSecret('/data'), claim) }))`

async function start(t: Test): Promise<Started & { project: Project }> {
  const files = ['compose.yaml', 'compose.simulate.yaml']
  const { project, url } = await startProject(t, { name: 'walk', files, variables: settingsOfWalk() })
  t.same(project.services, ['redis', 'api', 'worker', 'simulator'])
  return {
    project,
    url,
    folder: '/data',
    // By who is there already: the user of the container, at its machine.
    admission: async () => {
      // Safe: the script writes it.
      const said = await project.exec('api', 'node', '--input-type=module', '-e', ADMISSION)
      return JSON.parse(said) as Record<string, unknown>
    },
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
        ['worker', /containment: bubblewrap: Available sandbox levels: workspace or locked\./, /^\S+ +(?:token|port)/m],
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

// After the other: netavark 1.4 forgets what keeps networks apart when one is taken away beside them.
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
    const { parts } = (await ask(url, { method: 'GET', path: '/health/ready' })).body as Record<string, unknown>
    t.match(
      parts,
      {
        containment: { status: 'ok', lifetime: true, files: true, sandboxes: ['workspace', 'locked'] },
        claude: { authentication: { method: 'none' } },
      },
      'its runs are contained without a filter of system calls beside the file, and want an account',
    )
  },
)
