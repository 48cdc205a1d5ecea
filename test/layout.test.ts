// How files are laid out, what decisions look like, and that what the texts of the repository name is there.
import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript-6'
import { ROOT } from './support/paths.js'
import { listSources, parse, roomOf, sources } from './support/sources.js'

/** Code is laid out by prettier, which breaks no text: a text of more than 120 columns is a literal by itself. */
const CODE_COLUMNS = 120
const TEXT_COLUMNS = 140

/** Where each literal that no formatter breaks stands: texts, parts of templates, regular expressions. */
function literalsOf(
  source: ts.SourceFile,
): ReadonlyArray<{ readonly from: number; readonly to: number; readonly isFixed: boolean }> {
  const found: Array<{ from: number; to: number; isFixed: boolean }> = []
  const visit = (node: ts.Node): void => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)
    if (isText || ts.isRegularExpressionLiteral(node)) {
      // A regular expression, and data that a program reads as it stands, have no place to be broken at.
      const text = node.getText(source)
      found.push({ from: node.getStart(source), to: node.end, isFixed: !isText || /["{\\]/.test(text) })
    } else ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

async function findLongLines(file: string): Promise<string[]> {
  const text = await readFile(join(ROOT, file), 'utf8')
  const lines = text.split('\n')
  if (lines.every((line) => line.length <= CODE_COLUMNS)) return []
  const source = parse(file)
  const literals = literalsOf(source)
  const starts = source.getLineStarts()
  return lines.flatMap((line, index) => {
    if (line.length <= CODE_COLUMNS) return []
    const start = starts[index] ?? 0
    const crossing = literals.find(({ from, to }) => from < start + CODE_COLUMNS && to >= start + CODE_COLUMNS)
    const isWell = crossing !== undefined && (line.length <= TEXT_COLUMNS || crossing.isFixed)
    return isWell ? [] : [`${file}:${index + 1} (${line.length})`]
  })
}

void t.test('code has at most 120 columns, a text at most 140', async (t) => {
  const tests = (await listSources('test')).filter((file) => !file.includes('/fixtures/'))
  const written = [...sources, ...tests].filter((file) => !file.endsWith('.generated.ts'))
  t.same((await Promise.all(written.map(findLongLines))).flat(), [])
})

/** Beyond it a file has more than one subject: what its tests share goes to a scene beside it. */
const TEST_LINES = 550
const LONG_TESTS: Record<string, string> = {
  'test/started/rest-cases.ts': 'the one table of answers, one case each',
}

void t.test('a test is of one subject', async (t) => {
  const long = (await listSources('test')).filter(
    (file) => file.endsWith('.ts') && readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1 > TEST_LINES,
  )
  t.same(long.sort(), Object.keys(LONG_TESTS).sort(), `over ${TEST_LINES} lines are those that say why`)
})

void t.test('what the texts of the repository call is there', async (t) => {
  // Safe: package.json is npm's own format.
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  const texts = ['AGENTS.md', 'CONTRIBUTING.md', '.github/pull_request_template.md', '.github/workflows/ci.yaml']
  for (const name of texts) {
    const text = await readFile(join(ROOT, name), 'utf8')
    const called = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script ?? '')
    t.same(
      called.filter((script) => !Object.hasOwn(scripts, script)),
      [],
      name,
    )
    const paths = [...text.matchAll(/\]\((?!https?:)([^)#]+)|`((?:src|test|routes|openapi|\.ci)\/[\w./-]+)`/g)]
    for (const [, link, path] of paths) {
      const target = link ?? path ?? ''
      t.ok(existsSync(join(ROOT, link === undefined ? '.' : dirname(name), target)), `${name}: ${target}`)
    }
  }
  const agents = await readFile(join(ROOT, 'AGENTS.md'), 'utf8')
  t.ok(agents.trimEnd().split('\n').length <= 40)
  t.equal((await readFile(join(ROOT, 'CLAUDE.md'), 'utf8')).trim(), '@AGENTS.md')
})

void t.test('a workflow runs no action that somebody could change behind its name', async (t) => {
  const folder = join(ROOT, '.github/workflows')
  for (const name of await readdir(folder)) {
    const uses = [...(await readFile(join(folder, name), 'utf8')).matchAll(/uses: *(\S+)(.*)/g)]
    t.ok(uses.length > 0, name)
    for (const [line, action, version] of uses)
      t.match([action, version], [/^[\w./-]+@[0-9a-f]{40}$/, /# v\d+\.\d+\.\d+/], line)
  }
})

/** A row of a table of decisions; a decision that was superseded stays, struck. */
const DECISION = /^\| [^|]+ \| (?:valid \| (?!~~)[^|]+|superseded \| ~~[^|]+~~) \| [^|]+ \| 20\d\d-\d\d-\d\d \|$/

void t.test('decisions stand in tables: subject, status, decision, reason, date', async (t) => {
  const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')
  let count = 0
  for (const room of new Set(sources.map(roomOf))) {
    const text = await read(`${room}/DECISIONS.md`).catch(() => '')
    const rows = text.split('\n').filter((line) => line.startsWith('|') && !line.startsWith('|---'))
    const isHead = (line: string): boolean => line === '| subject | status | decision | reason | date |'
    count += rows.length
    t.same(
      rows.filter((line) => !isHead(line) && !DECISION.test(line)),
      [],
      room,
    )
    t.notMatch(text, /^- /m, `${room}: no list`)
  }
  t.ok(count > 100, 'they were found')
})

/**
 * A command of the Bash tool that is nothing but a `sleep`, as TypeScript or as JSON: newer CLIs refuse it, and the
 * test would wait for nothing.
 */
const BARE_SLEEP = /(?:\bbash\(|\bcommand"?: ?)(['"`])sleep [^'"`;&|]*\1/

/** This file, and the contract with the CLI, which asks whether it is refused. */
const MAY_SLEEP = ['layout.test.ts', 'cli-contract/surroundings.ts']

void t.test('no test lets the Bash tool do nothing but sleep', async (t) => {
  const files = (await readdir(join(ROOT, 'test'), { recursive: true })).filter(
    (file) => /\.(?:ts|json)$/.test(file) && !MAY_SLEEP.includes(file),
  )
  const users = (
    await Promise.all(
      files.map(async (file) => (BARE_SLEEP.test(await readFile(join(ROOT, 'test', file), 'utf8')) ? [file] : [])),
    )
  ).flat()
  t.same(users, [], 'lasting() of test/support/environment.ts stands in its place')
  const examples = ["bash('sleep 300')", 'bash(`sleep 300.${tag}`)', "{ command: 'sleep 250' }", '"command": "sleep 1"']
  t.same(
    examples.filter((example) => !BARE_SLEEP.test(example)),
    [],
    'it would notice',
  )
})
