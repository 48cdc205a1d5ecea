// The manual against the code: it names everything that exists and nothing that does not, and its examples work.
import { spawn } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { readConfig } from '../src/platform/config.js'
import { describeConfig } from '../src/platform/describe-config.js'
import { SECRET_NAMES } from '../src/platform/secret-files.js'
import { ERROR_TABLE, RESERVED_CODES } from '../src/protocol/errors.js'
import { EVENT_TYPES } from '../src/protocol/events.js'
import { ExecuteRequest } from '../src/protocol/execute-request.js'
import { OutcomeCode, RetryReason } from '../src/protocol/execution.js'
import { RPC_METHODS } from '../src/protocol/operations.js'
import { PushError } from '../src/protocol/repositories.js'
import { DeliveryAttempt } from '../src/protocol/webhooks.js'
import { NOTIFICATIONS, SubscriptionClosedReason } from '../src/protocol/subscription.js'
import { openTestService } from './support/service.js'
import { once } from './support/deadlines.js'

const PAGES = [
  'README.md',
  'openapi/protocol.md',
  'openapi/coming-from-the-original.md',
  'deployment/README.md',
  'deployment/PROXIES.md',
]
const texts = new Map(await Promise.all(PAGES.map(async (page) => [page, await readFile(page, 'utf8')] as const)))
const textOf = (page: string): string => texts.get(page) ?? ''
const manual = textOf('openapi/protocol.md')
const original = textOf('openapi/coming-from-the-original.md')

/** A chapter of the manual, by its heading. */
const chapter = (heading: string): string => manual.split(/^(?=##+ )/m).find((part) => part.startsWith(heading)) ?? ''
/** The cells of a chapter's table rows, without their header. */
const rows = (text: string): string[][] =>
  [...text.matchAll(/^\|(.*)\|$/gm)]
    .map(([, row = '']) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cells) => cells[0]?.includes('`'))
/** What stands in backticks, blocks of code apart. */
const quoted = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
const unquote = (cell = ''): string => cell.replaceAll('`', '')
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort()
const firstColumn = (heading: string): string[] => rows(chapter(heading)).flatMap(([cell = '']) => quoted(cell))

void t.test('it names every operation, event, field and error, and none that does not exist', async (t) => {
  t.same(sorted(firstColumn('### WebSocket `/ws`\n')), sorted(RPC_METHODS))
  for (const name of [...Object.keys(NOTIFICATIONS), ...SubscriptionClosedReason.options])
    t.match(chapter('### WebSocket `/ws`\n'), `\`${name}`, name)
  t.same(sorted(firstColumn('## 4. Events')), sorted(EVENT_TYPES))
  const known = new Set<string>([...RPC_METHODS, ...Object.keys(NOTIFICATIONS), ...EVENT_TYPES])
  for (const [page, text] of texts) {
    const names = [
      ...text.matchAll(/\b(?:execution|subscription|queue|health|rpc|text|tool|hook|log)\.[a-z_]+\b(?!\()/g),
    ].map(([name]) => name)
    // `hook.warning` is the original's, named as not built.
    t.same(
      sorted(names).filter((name) => !known.has(name) && !['rpc.schema', 'hook.warning'].includes(name)),
      [],
      page,
    )
  }

  const fields = Object.keys(ExecuteRequest.shape)
  const told = chapter('### What to run')
  t.same(
    fields.filter((field) => !told.includes(`\`${field}\``)),
    [],
    'fields',
  )
  t.same(
    firstColumn('### What to run').filter((field) => !fields.includes(field)),
    [],
  )

  const errors = rows(chapter('## 5. Errors')).map(([code, status, rpc, retry]) => [
    unquote(code),
    Number(status),
    Number(rpc),
    retry,
  ])
  t.same(
    errors,
    Object.entries(ERROR_TABLE).map(([code, { status, rpc, retryable }]) => [
      code,
      status,
      rpc,
      retryable ? 'yes' : 'no',
    ]),
  )
  t.same(
    rows(chapter('## 5. Errors')).flatMap(([code, , , , means]) =>
      means?.startsWith('reserved:') ? unquote(code) : [],
    ),
    RESERVED_CODES,
  )
  const outcomes = /^Codes of an outcome.*$/m.exec(manual)?.[0] ?? ''
  t.same(sorted(quoted(outcomes)), sorted(OutcomeCode.options))
})

void t.test('it names every setting with its default; no page names one that does not exist', async (t) => {
  const entries = describeConfig(readConfig({ HOME: '/nonexistent' }))
  const settings = rows(chapter('## 6. Settings'))
  t.same(
    settings.map(([name]) => unquote(name)),
    entries.map(({ name }) => name),
  )
  for (const [index, { name, value, description }] of entries.entries()) {
    const [, fallback = '', says] = settings[index] ?? []
    t.equal(says, description, name)
    if (!value?.startsWith('/')) t.equal(unquote(fallback), value || 'none', name)
  }
  const composes = (
    await Promise.all(['compose.yaml', 'compose.tls.yaml'].map((file) => readFile(`deployment/${file}`, 'utf8')))
  ).join('')
  const codes = new Set<string>([
    ...Object.keys(ERROR_TABLE),
    ...OutcomeCode.options,
    ...RetryReason.options,
    ...entries.map(({ name }) => name),
    ...SECRET_NAMES.flatMap((name) => [name, `${name}_FILE`]),
    // Those of the compose files themselves.
    ...[...composes.matchAll(/\$\{([A-Z_]+)/g)].map(([, name = '']) => name),
  ])
  // Of set-up, of hooks, of Claude's, and of the system's folders.
  /** Of attempts of webhooks. */
  for (const error of DeliveryAttempt.shape.error.unwrap().options) codes.add(error)
  /** Of a push. */
  for (const code of PushError.shape.code.options) codes.add(code)
  const elsewhere =
    /^(?:XDG_DATA_HOME$|GITHUB_TOKEN$|CC_EXECUTOR_CACHE_DIR$|CC_EXECUTOR_CLAUDE_VERSION$|HOOK_(?:STAGE|EXECUTION_ID|WORKSPACE)$|ANTHROPIC_|CLAUDE_(?:CODE|CONFIG|UID|GID)|AWS_)/
  for (const [page, text] of texts) {
    const names = quoted(text).flatMap((words) => words.match(/\b[A-Z]+_[A-Z_]+\b/g) ?? [])
    t.same(
      sorted(names).filter((name) => !codes.has(name) && !elsewhere.test(name)),
      [],
      page,
    )
  }
})

void t.test('its REST table has every path and method of the OpenAPI document, and no other', async (t) => {
  const { paths } = JSON.parse(await readFile('openapi/openapi.json', 'utf8')) as {
    paths: Record<string, Record<string, unknown>>
  }
  const real = sorted(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    ),
  )
  /** `GET /a`, `/b` means GET for both; `/pause` beside `/executions/{id}/cancel` stands in its place. */
  const read = (text: string): string[] =>
    rows(text).flatMap(([cell = '']) => {
      let method = ''
      let before = ''
      return quoted(cell).flatMap((words) => {
        const [, verb, path = ''] = /^(?:([A-Z]+) )?(\/\S*)$/.exec(words) ?? []
        if (path === '') return []
        method = verb ?? method
        const beside = before.replace(/\/\w+$/, path)
        const whole = !Object.hasOwn(paths, path) && Object.hasOwn(paths, beside) ? beside : path
        before = whole
        return [`${method} ${whole}`]
      })
    })
  t.same(sorted(read(chapter('### REST'))), real)
  const readme = sorted(read(textOf('README.md'))).filter((line) => !/ \/(?:docs|openapi\.json)$/.test(line))
  t.same(
    readme.filter((line) => !real.includes(line)),
    [],
    'of the README',
  )
  t.same(
    real.filter((line) => !readme.includes(line)),
    ['POST /executions'],
    'it leaves out the other name of POST /execute only',
  )
})

void t.test('links between the pages lead somewhere', async (t) => {
  for (const [page, text] of texts) {
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)/g))
      await t.resolves(access(join(dirname(page), target)), `${page}: ${target}`)
  }
})

void t.test('the examples of both pages work, as written', { timeout: 600_000 }, async (t) => {
  const service = await openTestService(t, { env: { CC_EXECUTOR_AUTH: 'open' } })
  /** Sends one line and collects what comes until the words are seen. */
  async function speak(path: string, line: string, until: string): Promise<string[]> {
    const socket = new WebSocket(service.url().replace('http', 'ws') + path)
    const heard: string[] = []
    const done = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        heard.push(data.toString())
        if (data.includes(until)) resolve()
      })
    })
    await once(socket, 'open')
    socket.send(line)
    await done
    socket.close()
    return heard
  }
  const [execute = '', subscribe = ''] = [...manual.matchAll(/```json\n(.*)\n```/g)].map(([, line = '']) => line)
  const events = await speak('/ws', execute, 'subscription.closed')
  t.match(events[0], /"result":\{.*"subscriptionId":"sub-1"/)
  t.match(events.at(-1), /"reason":"finished"/)
  const { id } = (JSON.parse(events[0] ?? '') as { result: { id: string } }).result
  const again = await speak(
    '/ws',
    subscribe.replace(/[0-9a-f-]{36}/, id).replace('"after":17', '"after":2'),
    'subscription.closed',
  )
  t.match(again[0], /"status":"succeeded"/)
  t.match(again[1], /"seq":3,/)

  const [, asBefore = ''] = /```json\n(.*)\n```/.exec(original) ?? []
  const told = await speak('/ws/mcp', asBefore, 'process.completed')
  t.same(
    told.map((line) => (JSON.parse(line) as { method?: string }).method ?? 'result'),
    ['connected', 'result', 'process.started', 'process.output', 'process.completed'],
  )

  const [, command = ''] = /```sh\n([\s\S]*?)```/.exec(original) ?? []
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', command.replace('http://localhost:8001', service.url())], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  shell.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  t.same(await once(shell, 'close'), [0, null])
  const { id: submitted } = JSON.parse(said) as { id: string }
  t.equal((await service.finished(submitted)).status, 'succeeded')
})
