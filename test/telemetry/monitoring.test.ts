// deployment/monitoring: what Prometheus and Grafana are given, checked by their own tools in test:all.
import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { findPorts } from '../support/fronts/front.js'
import { unpackPackages } from '../support/fronts/packages.js'
import { ROOT, SCRIPTED_CLI } from '../support/paths.js'
import { makeFolder } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { eventually, until } from '../support/deadlines.js'

const run = promisify(execFile)
const FOLDER = join(ROOT, 'deployment/monitoring')
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

void t.test('Prometheus scrapes a service with its own configuration', { skip, timeout: 600_000 }, async (t) => {
  const folder = await makeFolder(t)
  const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  const { id } = await service.submit({ prompt: 'one' })
  await service.finished(id)
  const metrics = await service.call('GET', '/metrics')
  const linted = run(`${root}/usr/bin/promtool`, ['check', 'metrics'], { env })
  linted.child.stdin?.end(metrics.text)
  t.equal((await linted).stderr, '', 'promtool has nothing to say of them')

  const [port = 0] = await findPorts(1)
  const config = parse(await readFile(join(FOLDER, 'prometheus.yml'), 'utf8'))
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' }
  config.rule_files = [join(FOLDER, 'alerts.yml')]
  config.scrape_configs[0].static_configs[0].targets = [new URL(service.url()).host]
  config.scrape_configs[0].authorization.credentials_file = join(folder, 'token')
  await writeFile(join(folder, 'token'), service.token)
  await writeFile(join(folder, 'prometheus.yml'), stringify(config))
  await promtool('check', 'config', join(folder, 'prometheus.yml'))
  await mkdir(join(folder, 'data'))
  const prometheus = spawn(
    `${root}/usr/bin/prometheus`,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { env, stdio: 'ignore' },
  )
  t.teardown(async () => {
    const ended = eventually(prometheus, 'exit')
    prometheus.kill()
    await ended
  })
  async function ask(query: string): Promise<string[]> {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`
    const answer = await fetch(url).catch(() => undefined)
    if (!answer?.ok) return []
    const { data } = (await answer.json()) as { data: { result: Array<{ value: [number, string] }> } }
    return data.result.map(({ value }) => value[1])
  }
  await until(async () => (await ask('up{job="cc-executor"}'))[0] === '1', 'it is scraped', 60_000)
  await until(async () => (await ask('sum(cc_executor_executions_total)'))[0] === '1', 'an end is seen', 60_000)
  await until(
    async () => (await ask('count(process_resident_memory_bytes{process=~"worker-1|api-1"})'))[0] === '2',
    'both processes are told apart',
    60_000,
  )
  t.same(await ask('ALERTS{alertstate="firing"}'), [], 'nothing is wrong with it')
})
