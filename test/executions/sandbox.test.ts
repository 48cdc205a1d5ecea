// What a run reaches, at each level, with the real CLI: the level that was asked for, raised, refused or waited for;
// the run without a network.
import { createServer, type AddressInfo } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { findCgroupPlace } from '../../src/supervision/run-cgroup.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { once, until } from '../support/deadlines.js'

const web = createHttpServer((request, response) => response.end(`web says ${request.url}`))
web.listen(0, '127.0.0.1')
await once(web, 'listening')
const silent = createServer((socket) => socket.end('reached\n'))
silent.listen(0, '127.0.0.1')
await once(silent, 'listening')
t.teardown(() => {
  web.close()
  silent.close()
})
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port

const projects = await mkdtemp(join(tmpdir(), 'cce-projects-'))
t.teardown(() => rm(projects, { recursive: true, force: true }))
const SECRET = 'a-secret-key-of-the-operator'
const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_ALLOWED_TOOLS: 'Bash,Write',
    CC_EXECUTOR_ALLOWED_ROOTS: projects,
    CC_EXECUTOR_ALLOW_VERIFY_COMMANDS: 'true',
    CC_EXECUTOR_NETWORK_HOSTS: `127.0.0.1:${portOf(web)},allowed.example`,
    ANTHROPIC_API_KEY: SECRET,
    CC_EXECUTOR_SANDBOX_WRITE: '',
  },
})
const bash = (command: string): unknown => ({ tool: 'Bash', input: { command } })
async function run(commands: readonly string[], more: Record<string, unknown> = {}) {
  const execution = await service.finished(
    (await service.submit({ prompt: scripted(...commands.map(bash), { text: 'done' }), ...more })).id,
  )
  const events = await service.events(execution.id)
  const said = events
    .flatMap((event) => (event.type === 'claude.message' ? [(event as Event<'claude.message'>).data.message] : []))
    .filter(({ type }) => type === 'user')
    .map((message) => JSON.stringify(message))
    .join('\n')
  return { execution, events, said }
}
const of = <Type extends Event['type']>(events: readonly Event[], type: Type) =>
  events.filter((event) => event.type === type) as unknown as Array<Event<Type>>

void t.test(
  'without a word of anybody a run is at the level workspace: another user, nothing but its own in view',
  { timeout: 600_000 },
  async (t) => {
    const { execution, events, said } = await run([
      'echo uid=$(id -u)=; ls /root /home; cat /proc/1/environ | tr "\\0" "\\n"; echo mine > made; touch ~/mine /tmp/mine; echo t=$TMPDIR',
      `ls ${service.config.dataDir}; cat ${service.config.tokenFile}`,
    ])
    t.match(
      execution,
      { status: 'succeeded', outcome: { sandbox: { level: 'workspace', deniedHosts: [] } } },
      JSON.stringify(execution.outcome),
    )
    t.match(of(events, 'execution.started')[0]?.data, {
      containment: { sandbox: 'workspace', lifetime: true, files: true },
    })
    t.notMatch(said, /uid=0=/)
    t.notMatch(said, SECRET)
    t.match(said, /No such file or directory/)
    t.equal(await readFile(join(service.config.workspaceRoot, execution.id, 'made'), 'utf8'), 'mine\n')
    const { body } = await service.call('GET', `/executions/${execution.id}/receipt`)
    t.match(body, { process: { containment: { sandbox: 'workspace', lifetime: true, files: true } } })
    t.match((await service.call('GET', '/health/ready')).body, {
      parts: { containment: { status: 'ok', lifetime: true, files: true, sandboxes: ['workspace', 'locked'] } },
    })
  },
)

void t.test(
  'what a run makes in an allowed root belongs to its owner, given files included; verify commands are at the same level',
  { timeout: 600_000, skip: process.getuid?.() !== 0 && 'only root has others to work for' },
  async (t) => {
    const root = join(projects, 'of-somebody')
    await mkdir(root)
    await chown(root, 12_345, 12_345)
    await writeFile(join(root, 'theirs'), 'theirs')
    await chown(join(root, 'theirs'), 12_345, 12_345)
    const { execution } = await run(
      [
        'echo changed >> theirs; echo more >> given/file; mkdir -p sub; touch sub/made; git init -q .; git status >/dev/null',
      ],
      {
        workspace: root,
        files: [{ path: 'given/file', content: 'given\n' }],
        verify: { commands: [['bash', '-c', 'test "$(id -u)" != 0 && test ! -e /root/.bashrc && touch verified']] },
      },
    )
    t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
    t.equal(await readFile(join(root, 'given/file'), 'utf8'), 'given\nmore\n')
    for (const name of ['theirs', 'given', 'given/file', 'sub/made', '.git/HEAD', 'verified'])
      t.match(await stat(join(root, name)), { uid: 12_345, gid: 12_345 }, name)
  },
)

void t.test(
  'locked: the model answers, the credential is not there, a host is reached if both sides name it',
  { timeout: 600_000 },
  async (t) => {
    const url = `http://127.0.0.1:${portOf(web)}`
    const commands = [
      'env | sort; cat ~/.claude/.credentials.json',
      `NO_PROXY= no_proxy= curl -sS --noproxy "" ${url}/asked; curl -sS --noproxy "*" -m 5 ` +
        `${url}/direct; exec 3<>/dev/tcp/127.0.0.1/${portOf(silent)} && cat <&3`,
      'for i in 1 2 3; do curl -sS https://forbidden.example/; done; curl -sS http://localhost.:1/ ' +
        '--noproxy ""; getent hosts example.com || echo no name',
      'curl -sS -X POST http://127.0.0.1:3128/v1/organizations; curl -sS http://127.0.0.1:3128/v1/messages',
    ]
    const { execution, events, said } = await run(commands, {
      sandbox: 'locked',
      network: { hosts: [`127.0.0.1:${portOf(web)}`] },
    })
    t.match(
      execution,
      {
        status: 'succeeded',
        outcome: {
          result: 'done',
          sandbox: { level: 'locked', deniedHosts: ['forbidden.example:443', 'localhost.:1'] },
        },
      },
      JSON.stringify(execution.outcome),
    )
    t.match(said, 'web says /asked')
    t.notMatch(said, 'web says /direct')
    t.notMatch(said, 'reached')
    t.match(said, 'no name')
    t.match(said, 'A run may call messages and count_tokens only.')
    t.notMatch(said, SECRET)
    const denied = of(events, 'sandbox.denied')
      .map(({ data }) => data)
      .filter(({ host }) => host === 'forbidden.example:443')
    t.equal(
      denied.reduce((sum, { count }) => sum + count, 0),
      3,
    )
  },
)

void t.test('a host beyond those of the operator is refused at submission', async (t) => {
  const { status, body } = await service.call('POST', '/execute', {
    body: {
      prompt: 'x',
      sandbox: 'locked',
      network: { hosts: ['elsewhere.example', 'allowed.example', 'allowed.example:22'] },
    },
  })
  t.equal(status, 403)
  t.same(
    body.errors.map(({ message }: { message: string }) => message.split(' ')[0]),
    ['elsewhere.example', 'allowed.example:22'],
  )
})

void t.test('what no worker has is refused, what one has is waited for', { timeout: 600_000 }, async (t) => {
  const poor = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CLAUDE_CODE_USE_BEDROCK: '1', CC_EXECUTOR_SIMULATOR_URL: '' },
  })
  const { status, body } = await poor.call('POST', '/execute', { body: { prompt: 'x', sandbox: 'locked' } })
  t.equal(status, 503)
  t.match(body, { code: 'SANDBOX_UNAVAILABLE', errors: [{ path: 'sandbox' }] })
  t.match((await poor.call('GET', '/health/ready')).body, { parts: { containment: { sandboxes: ['workspace'] } } })
  const rich = await poor.openWorker({
    CLAUDE_CODE_USE_BEDROCK: '',
    ANTHROPIC_API_KEY: 'x',
    CC_EXECUTOR_CONCURRENCY: '1',
  })
  const { id } = await poor.submit({ prompt: 'x', sandbox: 'locked' })
  await until(
    async () => (await poor.call('GET', `/executions/${id}`)).body.workerId === rich.state.id,
    'the worker that can takes it',
  )
})

void t.test('limits hold for the run as a whole, and the one that is met is told', { timeout: 600_000 }, async (t) => {
  const small = await openTestService(t, {
    env: {
      CC_EXECUTOR_ALLOWED_TOOLS: 'Bash',
      CC_EXECUTOR_RUN_LIMITS: 'processes=100,memory=1GiB,files=256,file_size=1MiB',
    },
  })
  // A group counts what was refused; without one it is seen only while it lasts.
  const kept = (await findCgroupPlace()) ? 'cgroup' : 'prlimit'
  const commands = [
    `perl -e 'my @p; for (1..300) { my $p = fork; last unless defined $p; if (!$p) { sleep 9; exit } ` +
      `push @p, $p } sleep ${kept === 'cgroup' ? 0 : 3}; kill 9, @p'`,
    `for i in 1 2 3; do perl -e '$x = "x" x 500000000; sleep 3' & done; wait`,
    'head -c 5000000 /dev/zero > large; stat -c size=%s large; ulimit -n; ulimit -n 5000 || echo kept',
  ]
  const execution = await small.finished(
    (await small.submit({ prompt: scripted(...commands.map(bash), { text: 'done' }), sandbox: 'host' })).id,
  )
  t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
  t.match(
    execution,
    { request: { sandbox: 'host' }, outcome: { sandbox: { level: 'workspace' } } },
    'host is raised to the least level of the operator',
  )
  const events = await small.events(execution.id)
  t.equal(of(events, 'execution.started')[0]?.data.containment?.limits, kept)
  const told = of(events, 'limit.reached').map(({ data }) => data)
  t.match(
    told.filter(({ kind }) => kind === 'processes'),
    [{ kind: 'processes', limit: 100 }],
  )
  if (kept === 'cgroup')
    t.match(
      told.filter(({ kind }) => kind === 'memory'),
      [{ kind: 'memory', limit: 1024 ** 3 }],
    )
  const said = JSON.stringify(events)
  t.match(said, /size=1048576/)
  t.match(said, /256\\+nkept|256.*kept/)
})
