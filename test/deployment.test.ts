// What must never be lost from deployment/, read from its files: no Docker engine runs where the tests run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findFileLack } from '../src/main/lifecycle/open-files.js'
import { readConfig } from '../src/platform/config.js'
import { describeConfig } from '../src/platform/describe-config.js'
import { interpolate } from './started/compose.js'
import {
  REQUIRED,
  type Service,
  api,
  base,
  composeOf,
  composes,
  dockerfile,
  files,
  folder,
  overlays,
  read,
  redis,
  serviceOf,
  texts,
  worker,
} from './support/compose-files.js'

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
