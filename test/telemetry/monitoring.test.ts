// deployment/monitoring: what Prometheus and Grafana are given, checked by their own tools in test:all.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { findExecutable, splitPath } from '../../src/platform/redis-server.js'
import { installFromNpm } from '../mcp/clients/pinned-clients.js'
import { findPorts } from '../support/fronts/front.js'
import { unpackPackages } from '../support/fronts/packages.js'
import { testEnvironment } from '../support/environment.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { makeFolder } from '../support/processes.js'
import { openTestService, type TestService } from '../support/service.js'
import { eventually, once, until } from '../support/deadlines.js'

const run = promisify(execFile)
const COMPOSE = join(ROOT, 'deployment')
const FOLDER = join(COMPOSE, 'monitoring')
const isAll = process.env['CC_EXECUTOR_TEST_ALL'] !== undefined
const unpacked = isAll ? await unpackPackages(['prometheus'], 'usr/bin/promtool') : 'only in npm run test:all'
const skip = typeof unpacked === 'string' ? unpacked : false
const { root, env: libraries } = typeof unpacked === 'string' ? { root: '', env: {} } : unpacked
const env = { ...process.env, ...libraries }
const promtool = (...args: string[]): Promise<{ stdout: string }> =>
  run(`${root}/usr/bin/promtool`, args, { cwd: FOLDER, env })

interface Dashboard {
  readonly panels: ReadonlyArray<{
    readonly id: number
    readonly title: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly datasource: { readonly uid: string }
    readonly targets: ReadonlyArray<{ readonly expr: string }>
  }>
}
interface Rules {
  readonly groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Record<string, unknown>> }>
}
const dashboard = JSON.parse(await readFile(join(FOLDER, 'dashboard.json'), 'utf8')) as Dashboard
const rules = parse(await readFile(join(FOLDER, 'alerts.yml'), 'utf8')) as Rules
const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

void t.test('the dashboard is laid out without overlaps, each panel once', async (t) => {
  const { panels } = dashboard
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  for (const [index, { title, gridPos: one, datasource, targets }] of panels.entries()) {
    t.equal(datasource.uid, '${datasource}', `${title}: whichever Prometheus is chosen`)
    t.ok(targets.length > 0 && one.x + one.w <= 24, title)
    for (const { gridPos: other } of panels.slice(index + 1))
      t.ok(
        one.x + one.w <= other.x ||
          other.x + other.w <= one.x ||
          one.y + one.h <= other.y ||
          other.y + other.h <= one.y,
      )
  }
})

void t.test('promtool takes the rules, plays them, and reads every query of the dashboard', { skip }, async (t) => {
  t.match((await promtool('check', 'rules', 'alerts.yml')).stdout, new RegExp(`${rules.groups[0]?.rules.length} rules`))
  t.match((await promtool('test', 'rules', 'alerts.test.yml')).stdout, /SUCCESS/)
  const folder = await makeFolder(t)
  const recorded = queries.map((expr, index) => ({
    record: `dashboard:query:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
  }))
  await writeFile(join(folder, 'queries.yml'), stringify({ groups: [{ name: 'dashboard', rules: recorded }] }))
  t.match((await promtool('check', 'rules', join(folder, 'queries.yml'))).stdout, new RegExp(`${queries.length} rules`))
})

/** As in compose.yaml the API is called. */
const API = 'api:8001'
const {
  prometheus: inCompose,
  grafana,
} = // Safe: test/support/compose-files.ts has the shape.
  (
    parse(await readFile(join(COMPOSE, 'compose.yaml'), 'utf8'), { merge: true }) as {
      services: Record<string, { image: string; volumes: string[] }>
    }
  ).services
if (!inCompose || !grafana) throw new Error('compose.yaml has no Prometheus or no Grafana')

void t.test('the dashboard is one by the types of the Grafana that compose starts', { skip }, async (t) => {
  const version = /grafana:(\d+\.\d+\.\d+)\}$/.exec(grafana.image)?.[1]
  const folder = await makeFolder(t)
  await installFromNpm(folder, [`@grafana/schema@${version}`])
  const strict = { strict: true, skipLibCheck: true, types: [], noEmit: true }
  const compilerOptions = { ...strict, target: 'es2022', module: 'esnext', moduleResolution: 'bundler' }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['dashboard.ts'] }))
  async function compile(content: unknown): Promise<string> {
    const text = `import type { Dashboard } from '@grafana/schema'\nexport const it: Dashboard = ${JSON.stringify(content)}`
    await writeFile(join(folder, 'dashboard.ts'), text)
    const tsc = run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
    return tsc.then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    )
  }
  t.equal(await compile(dashboard), '')
  t.match(await compile({ ...dashboard, refresh: 30 }), /'number' is not assignable/, 'and another one is not')
})

void t.test('the compose files, with this profile, are ones by the schema of Compose', { skip }, async (t) => {
  const place = await makeFolder(t)
  const modules = await installFromNpm(place, ['dclint@3.1.0'])
  // Of its rules only that of the schema: the others are of taste.
  async function lint(text: string): Promise<string[]> {
    const file = join(place, 'compose.yaml')
    await writeFile(file, text)
    const args = [join(modules, 'dclint/bin/dclint.cjs'), '--formatter', 'json', file]
    const { stdout } = spawnSync(process.execPath, args, { cwd: place, encoding: 'utf8' })
    // Safe: the answer of the pinned version.
    const [looked] = JSON.parse(stdout) as Array<{ messages: Array<{ rule: string; message: string }> }>
    if (!looked) throw new Error('it was not looked at')
    return looked.messages.filter(({ rule }) => rule === 'invalid-schema').map(({ message }) => message)
  }
  const names = (await readdir(COMPOSE)).filter((name) => /^compose.*\.yaml$/.test(name))
  t.ok(names.length > 5)
  for (const name of names) t.same(await lint(await readFile(join(COMPOSE, name), 'utf8')), [], name)
  const text = await readFile(join(COMPOSE, 'compose.yaml'), 'utf8')
  t.ok((await lint(text.replace('condition:', 'conditoin:'))).length > 0, 'and another one is not')
})

/** Forwards to where the service listens, from the port and the address that compose gives it. */
async function listenAs(t: Test, service: TestService): Promise<string> {
  const relay = createServer((socket) => {
    const behind = connect(Number(new URL(service.url()).port), '127.0.0.1')
    for (const one of [socket, behind]) one.on('error', () => undefined)
    socket.pipe(behind).pipe(socket)
  })
  // All of 127.0.0.0/8 is this machine; other tests have the port on 127.0.0.1.
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
  relay.listen(Number(API.split(':')[1]), address)
  await once(relay, 'listening')
  t.teardown(() => new Promise<void>((resolve) => relay.close(() => resolve())))
  return address
}

void t.test('Prometheus takes the files that compose mounts, as they are', { skip, timeout: 600_000 }, async (t) => {
  const folder = await makeFolder(t)
  const service = await openTestService(t, {
    env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_ALLOWED_HOSTS: API },
  })
  const { id } = await service.submit({ prompt: 'one' })
  await service.finished(id)
  const metrics = await service.call('GET', '/metrics')
  const linted = run(`${root}/usr/bin/promtool`, ['check', 'metrics'], { env })
  linted.child.stdin?.end(metrics.text)
  t.equal((await linted).stderr, '', 'promtool has nothing to say of them')

  const { body } = await service.call('POST', '/tokens', { body: { name: 'prometheus', scopes: ['read'] } })
  await writeFile(join(folder, 'token'), `${String(body.secret)}\n`)
  await writeFile(join(folder, 'hosts'), `${await listenAs(t, service)} api\n127.0.0.1 localhost\n`)
  await mkdir(join(folder, 'data'))
  const mounts = inCompose.volumes
    .map((volume) => volume.split(':'))
    .filter(([source]) => source?.startsWith('./'))
    .flatMap(([source = '', target = '']) => {
      const isToken = source === './monitoring/token'
      return ['--ro-bind', isToken ? join(folder, 'token') : join(COMPOSE, source), target]
    })
  t.equal(mounts.length, 9, 'configuration, rules and token')
  const bwrap = (await findExecutable(['bwrap'], splitPath(testEnvironment(folder)['PATH']))) ?? 'bwrap'
  const links = ['lib', 'lib64', 'bin'].filter((name) => existsSync(`/usr/${name}`))
  // The root of a container: nothing of this machine but programs.
  const view = [
    '--ro-bind /usr /usr --tmpfs /etc --proc /proc --dev /dev --tmpfs /tmp'.split(' '),
    root === '' ? [] : ['--ro-bind', root, root],
    links.flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ['--ro-bind', join(folder, 'hosts'), '/etc/hosts', '--bind', join(folder, 'data'), '/prometheus'],
    [...mounts, '--die-with-parent', '--unshare-pid'],
  ].flat()
  const check = [`${root}/usr/bin/promtool`, 'check', 'config', '/etc/prometheus/prometheus.yml']
  t.match((await run(bwrap, [...view, ...check], { env })).stdout, new RegExp(`${rules.groups[0]?.rules.length} rules`))
  const [port = 0] = await findPorts(1)
  const prometheus = spawn(
    bwrap,
    [
      ...view,
      `${root}/usr/bin/prometheus`,
      // What the image is started with.
      '--config.file=/etc/prometheus/prometheus.yml',
      '--storage.tsdb.path=/prometheus',
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { env, stdio: 'ignore' },
  )
  t.teardown(async () => {
    const ended = eventually(prometheus, 'exit')
    prometheus.kill()
    await ended
  })
  const call = async <Data>(path: string): Promise<Data | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => undefined)
    // Safe: of its API.
    return answer?.ok ? ((await answer.json()) as { data: Data }).data : undefined
  }
  async function ask(query: string): Promise<string[]> {
    const data = await call<{ result: Array<{ value: [number, string] }> }>(`query?query=${encodeURIComponent(query)}`)
    return (data?.result ?? []).map(({ value }) => value[1])
  }
  // It looks every 15 s.
  await until(async () => (await ask(`up{job="cc-executor",instance="${API}"}`))[0] === '1', 'it is scraped', 120_000)
  await until(async () => (await ask('sum(cc_executor_executions_total)'))[0] === '1', 'an end is seen', 120_000)
  await until(
    async () => (await ask('count(process_resident_memory_bytes{process=~"worker-1|api-1"})'))[0] === '2',
    'both processes are told apart',
    120_000,
  )
  const evaluated = async () => {
    const { groups = [] } =
      (await call<{ groups: Array<{ rules: Array<{ health: string; name: string }> }> }>('rules')) ?? {}
    return groups.flatMap((group) => group.rules).map(({ health }) => health)
  }
  const all = rules.groups.flatMap((group) => group.rules).map(() => 'ok')
  await until(async () => String(await evaluated()) === String(all), 'every rule has been evaluated', 120_000)
  t.same(await ask('ALERTS{alertstate="firing"}'), [], 'nothing is wrong with it')
})
