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
  depends_on?: Record<string, { condition: string }>
}

interface Compose {
  name?: string
  services: Record<string, Service>
  networks?: Record<string, { internal?: boolean; driver_opts?: Record<string, string> } | null>
  volumes?: Record<string, { driver_opts?: Record<string, string> } | null>
}

const folder = 'deployment'
const read = (name: string): Promise<string> => readFile(`${folder}/${name}`, 'utf8')
const overlays = ['compose.open.yaml', 'compose.claude-home.yaml', 'compose.simulate.yaml']
const files = ['compose.yaml', ...overlays]
const texts = new Map(await Promise.all(files.map(async (file) => [file, await read(file)] as const)))
// Safe: the shape is what the tests below look at, and Compose's own schema was checked by hand (deployment/README.md).
// As they are where nothing is set.
const composes = new Map(
  [...texts].map(([file, text]) => [
    file,
    parse(
      text,
      (_key, value: unknown) => (typeof value === 'string' ? interpolate(value, { HOME: '${HOME}' }) : value),
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
  ]
  t.same(
    services.map(([name]) => name),
    ['redis', 'api', 'worker', 'simulator'],
  )
  for (const [name, service] of services) {
    t.equal(service.read_only, true, `${name}: read-only root`)
    t.equal(service.init, true, `${name}: an init`)
    t.same(service.cap_drop, ['ALL'], `${name}: no capabilities`)
    t.ok(service.security_opt?.includes('no-new-privileges:true'), `${name}: no new privileges`)
    t.ok(service.mem_limit && service.pids_limit, `${name}: limits`)
    t.notOk(
      service.cap_add ?? service.privileged ?? service.container_name,
      `${name}: nothing that undoes it, and no name of which there is one only`,
    )
    t.notMatch(JSON.stringify(service.volumes ?? []), /docker\.sock/)
  }
  for (const [file, compose] of composes) {
    for (const [name, service] of Object.entries(compose.services)) {
      t.notOk(service.cap_add ?? service.privileged, `${file}, ${name}: adds no privilege`)
      if (file !== 'compose.yaml') t.notOk(service.ports, `${file}, ${name}: publishes nothing`)
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
  // src/main/cli.ts ends itself ten seconds after the drain.
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
  for (const { file, command, flags } of calls) {
    const { status, stdout } = spawnSync(process.execPath, [file, command, '--help'], { encoding: 'utf8' })
    t.equal(status, 0, command)
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
  t.match(user, /^\$\{CLAUDE_UID:\?.*\}:\$\{CLAUDE_GID:\?.*\}$/)
  t.ok(
    volumes?.some(
      (volume) =>
        typeof volume === 'object' && volume.source === '${HOME}/.claude' && volume.bind?.create_host_path === false,
    ),
  )
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
  const commands = (await import('../src/cli/commands.js')).CLI_USAGE
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
    if (verb === 'up') return /^-d(?: --scale worker=\d+)?$/.test(words)
    if (verb === 'exec') {
      const [, service = '', called = ''] = /^(?:-T )?(\w+) cc-executor (\w+)/.exec(words) ?? []
      return services.includes(service) && (called === 'config' || new RegExp(`^ +${called}\\b`, 'm').test(commands))
    }
    if (verb === 'logs') return words.startsWith('-f ') && services.includes(words.slice(3))
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
