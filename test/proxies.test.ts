// deployment/PROXIES.md: each of its blocks, with the program that it is for, in front of a service.
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { scripted } from './support/environment.js'
import { blockOf, findPorts, makeCertificate, startFront, type FrontOptions } from './support/fronts/front.js'
import { openLossyLink } from './support/fronts/lossy-link.js'
import { unpackPackages } from './support/fronts/packages.js'
import { FRONTS, type Front } from './support/fronts/programs.js'
import { FILE, HANGING, runThrough, walk } from './support/fronts/walk.js'
import { makeFolder } from './support/processes.js'
import { openTestService, type TestService } from './support/service.js'

// The long wait of one is the time of the others.
t.jobs = 2
const isSkipped = process.env['CC_EXECUTOR_TEST_ALL'] === undefined
const isOnPath = (program: string): boolean => spawnSync(program, ['--version']).error === undefined
const withoutKeys = isOnPath('openssl') ? false : 'there is no openssl here'
const skip = isSkipped ? 'only in npm run test:all' : withoutKeys
/** Of each test its own: tap takes two tests with one object for the same. */
const options = () => ({ skip, timeout: 600_000 })
/** Why a front cannot be had, by its name. */
const missing = new Map<string, string>()
if (!isSkipped) {
  for (const { name, packages, program } of FRONTS) {
    const unpacked = await unpackPackages(packages, program)
    if (typeof unpacked === 'string') missing.set(name, unpacked)
  }
}
const frontOf = (name: string): Front => {
  const front = FRONTS.find((each) => each.name === name)
  if (!front) throw new Error(`there is no front ${name}`)
  return front
}
const withFront = (name: string) => ({ ...options(), skip: skip || (missing.get(name) ?? false) })
const nginx = frontOf('nginx')
const haproxy = frontOf('haproxy')

interface Scene {
  readonly service: TestService
  readonly certificate: string
  /** For startFront, with a port that the service knows. */
  readonly next: () => FrontOptions
}

async function openScene(t: Test, fronts: number, env: NodeJS.ProcessEnv = {}, workers = 1): Promise<Scene> {
  const folder = await makeFolder(t)
  const ports = await findPorts(fronts)
  const hosts = ports.map((port) => `localhost:${port}`).join(',')
  const service = await openTestService(t, { workers, env: { CC_EXECUTOR_ALLOWED_HOSTS: hosts, ...env } })
  const { pem, certificate } = makeCertificate(folder)
  const target = Number(new URL(service.url()).port)
  return { service, certificate, next: () => ({ folder, port: ports.pop() ?? 0, target, pem }) }
}

/** With a file that a front may make unreachable. */
async function leaveFile(service: TestService): Promise<string> {
  const write = { tool: 'Write', input: { file_path: `\${cwd}/${FILE.path}`, content: FILE.content } }
  const { id } = await service.submit({ prompt: scripted(write, { text: 'Done.' }) })
  return (await service.finished(id)).id
}

void t.test('every front of the page', options(), async (t) => {
  const { service, certificate, next } = await openScene(t, FRONTS.length)
  const withFile = await leaveFile(service)
  for (const front of FRONTS) {
    await t.test(front.name, { skip: missing.get(front.name) ?? false }, async (t) => {
      const place = next()
      const running = await startFront(t, front, place)
      const { folder } = place
      await walk(t, running, { token: service.token, withFile, speaks: front.speaks, certificate, folder })
    })
  }
})

void t.test(
  'nginx as it comes: waits end in time, and what drops Upgrade is fallen back from',
  withFront('nginx'),
  async (t) => {
    const { service, certificate, next } = await openScene(t, 1)
    const place = next()
    const block = `server { listen 443; location / { proxy_pass http://127.0.0.1:8001; } }`
    const front = await startFront(t, nginx, { ...place, block, tls: false })
    const headers = { authorization: `Bearer ${service.token}`, 'content-type': 'application/json', prefer: 'wait=60' }
    const waited = front.ask('POST', '/execute', headers, JSON.stringify({ prompt: HANGING }))
    await runThrough(t, front, { token: service.token, certificate, folder: place.folder, fallsBack: true })
    const { status, headers: told, json } = await waited
    t.match([status, told['preference-applied'], json.status], [202, 'wait=55', 'running'], 'before its 60 s are over')
    await service.call('POST', `/executions/${json.id}/cancel`)
  },
)

void t.test('compose.tls.yaml, by its Caddyfile as it is mounted', withFront('caddy'), async (t) => {
  const { service, certificate, next } = await openScene(t, 1)
  const place = next()
  const [healthPort = 0] = await findPorts(1)
  const caddyfile = readFileSync('deployment/Caddyfile', 'utf8')
  const overlay: Front = {
    ...frontOf('caddy'),
    // In place of the container's: its network, its ports, its volume.
    around: (block) =>
      block
        .replace('{\n', '{\n\tauto_https disable_redirects\n\tstorage file_system .\n')
        .replace('\tencode', '\tbind 127.0.0.1\n\tencode')
        .replaceAll('api:', '127.0.0.1:')
        .replaceAll('127.0.0.1:8080', `127.0.0.1:${healthPort}`),
  }
  const PUBLIC_NAME = `localhost:${place.port}`
  const variables = { PUBLIC_NAME, PUBLIC_TLS: `${place.pem} ${place.pem}` }
  const running = await startFront(t, overlay, { ...place, block: caddyfile, variables })
  const withFile = await leaveFile(service)
  const { folder } = place
  await walk(t, running, { token: service.token, withFile, speaks: overlay.speaks, certificate, folder })
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/health/live`)).status, 200, 'its health check')

  const unpacked = await unpackPackages(overlay.packages, overlay.program)
  if (typeof unpacked === 'string') throw new Error(unpacked)
  for (const [PUBLIC_TLS, issuer] of [
    ['me@example.org', /"email":"me@example\.org","module":"acme"/],
    ['internal', /"module":"internal"/],
    ['/certificates/chain.pem /certificates/key.pem', /"certificate":"\/certificates\/chain\.pem"/],
  ] as const) {
    const env = { HOME: folder, PUBLIC_NAME: 'agents.example.org', PUBLIC_TLS }
    const args = ['adapt', '--adapter', 'caddyfile', '--config', 'deployment/Caddyfile']
    const { stdout } = spawnSync(`${unpacked.root}/${overlay.program}`, args, { encoding: 'utf8', env })
    t.match(stdout, issuer, PUBLIC_TLS)
    t.match(stdout, /"host":\["agents\.example\.org"\]/)
  }
})

void t.test('a cache in nginx gives nobody the answer of another', withFront('nginx'), async (t) => {
  const { service, next } = await openScene(t, 1, {}, 0)
  const place = next()
  const cache = 'proxy_cache cc; proxy_cache_valid 200 1m; add_header X-Cache $upstream_cache_status always;'
  const block =
    `proxy_cache_path ${place.folder}/cache keys_zone=cc:1m;\n` +
    blockOf('nginx').replace('location / {', `location / {\n    ${cache}`)
  const front = await startFront(t, nginx, { ...place, block })
  const { id } = await service.submit({ prompt: 'Say hello' })
  const ask = async (path: string, authorization?: string) => {
    const { status, headers } = await front.ask('GET', path, authorization === undefined ? {} : { authorization })
    return [status, headers['x-cache']]
  }
  for (const path of [`/executions/${id}`, '/executions', `/executions/${id}/events`]) {
    for (let round = 0; round < 2; round += 1)
      t.same(await ask(path, `Bearer ${service.token}`), [200, 'MISS'], `${path}: asked anew each time`)
    t.same(await ask(path, 'Bearer another-token-of-somebody'), [401, 'MISS'])
    t.same(await ask(path), [401, 'MISS'])
  }
})

void t.test('under a path prefix', options(), async (t) => {
  const { service, certificate, next } = await openScene(t, 2, { CC_EXECUTOR_BASE_PATH: '/cc' })
  const { token } = service
  const withFile = await leaveFile(service)
  const blocks: Array<[Front, string, string]> = [
    [nginx, 'left', blockOf('nginx').replace('location / {', blockOf('nginx-prefix').trim())],
    [haproxy, 'stripped', blockOf('haproxy') + blockOf('haproxy-prefix')],
  ]
  for (const [front, what, block] of blocks) {
    await t.test(`${what} by ${front.name}`, withFront(front.name), async (t) => {
      const place = next()
      const running = await startFront(t, front, { ...place, block, path: '/cc' })
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const { status, headers: told } = await running.ask('POST', '/cc/execute', headers, '{"prompt":"Say hello"}')
      t.match([status, told.location], [202, /^\/cc\/executions\//])
      t.equal((await running.ask('GET', told.location ?? '', headers)).status, 200)
      const file = await running.ask('GET', `/cc/executions/${withFile}/files/${FILE.encoded}`, headers)
      t.match([file.status, file.body.toString()], [200, FILE.content])
      t.match((await running.ask('GET', '/cc/docs')).headers, { location: './docs/' })
      const below = { ...running, url: `${running.url}/cc` }
      await runThrough(t, below, { token, certificate, folder: place.folder, fallsBack: false })
    })
  }
})

void t.test('a retry makes two of one, and with an Idempotency-Key it does not', withFront('haproxy'), async (t) => {
  const { service, next } = await openScene(t, 2, {}, 0)
  const link = await openLossyLink(t, service.url(), (answer) => answer.destroy())
  const headers = { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' }
  const made = async (by: string): Promise<number> =>
    (await service.call('GET', `/executions?metadata.by=${by}`)).body.executions.length
  const bodyOf = (by: string) => JSON.stringify({ prompt: 'Say hello', metadata: { by } })
  const retrying = blockOf('haproxy') + '  retry-on all-retryable-errors\n'

  await t.test('HAProxy', async (t) => {
    const front = await startFront(t, haproxy, { ...next(), target: link.port, block: retrying })
    t.equal((await front.ask('POST', '/execute', headers, bodyOf('haproxy'))).status, 202)
    t.same([link.takeCount(), await made('haproxy')], [2, 2], 'without a key')
    const keyed = await front.ask('POST', '/execute', { ...headers, 'idempotency-key': 'one' }, bodyOf('keyed'))
    t.match([keyed.status, keyed.headers['idempotent-replayed']], [200, 'true'])
    t.same([link.takeCount(), await made('keyed')], [2, 1], 'with one')
  })
  await t.test('HAProxy that retries no POST', async (t) => {
    const block = retrying + blockOf('haproxy-retry')
    const front = await startFront(t, haproxy, { ...next(), target: link.port, block })
    t.equal((await front.ask('POST', '/execute', headers, bodyOf('once'))).status, 502)
    t.same([link.takeCount(), await made('once')], [1, 1])
  })
  const withCurl = { skip: isOnPath('curl') ? false : 'there is no curl here' }
  await t.test('curl --retry', withCurl, async (t) => {
    const late = await openLossyLink(t, service.url(), (answer) => answer.writeHead(504).end())
    const curl = async (by: string, ...more: string[]): Promise<string> => {
      const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
      const args = ['-s', '--retry', '3', '--retry-delay', '1', ...named, ...more, '-d', bodyOf(by)]
      return (await promisify(execFile)('curl', [...args, `http://127.0.0.1:${late.port}/execute`])).stdout
    }
    await curl('curl')
    t.same([late.takeCount(), await made('curl')], [2, 2], 'without a key')
    t.match(await curl('curl-keyed', '-H', 'Idempotency-Key: two'), /"status":"queued"/)
    t.same([late.takeCount(), await made('curl-keyed')], [2, 1], 'with one')
  })
})
