import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript-6'

import { checkoutDirectory } from '../../src/setup/cache.mjs'
import { runProgram } from '../../src/setup/run-program.mjs'
import { compileTests, lastLine, testEnvironment } from '../../src/setup/run-tests.mjs'

/** Only a test that hangs reaches it, on however busy a machine. */
const TEST_DEADLINE_MS = 300_000
/** More than cores, since tests also wait. */
const JOBS = Math.min(availableParallelism() + 1, 4)
/** What a tree shares with the checkout; `dist` is a copy, of links to its files. */
const OWN = new Set(['dist', '.git', '.tap'])

/**
 * A guard: `search` stands once in `file`, `replace` is the same without it, and the test `title` in `test` finds that
 * out.
 * @typedef {{ name: string, file: string, search: string, replace: string, test: string, title: string,
 *   ends?: 'skipped' | 'late' }} Guard
 *
 * How a test ended: `late` where nothing but the end of a wait failed, `broken` where it did not come to an assertion.
 * @typedef {'green' | 'red' | 'late' | 'broken' | 'skipped' | 'not run'} Ending
 * @typedef {{ ending: Ending, why: string }} Result
 */

/** @returns {Guard[]} */
export function readGuards() {
  return JSON.parse(readFileSync(join(checkoutDirectory, 'test/guards/guards.json'), 'utf8'))
}

/** The source without the guard. @param {Guard} guard */
export function removeGuard({ name, file, search, replace }) {
  const source = readFileSync(join(checkoutDirectory, file), 'utf8')
  const count = source.split(search).length - 1
  if (count !== 1)
    throw new Error(`guard "${name}": its text is ${count} times in ${file}; correct test/guards/guards.json`)
  return source.replace(search, () => replace)
}

/** A checkout of its own in which one file is another one. @param {string} folder @param {Guard} guard */
async function makeTree(folder, guard) {
  for (const entry of readdirSync(checkoutDirectory))
    if (!OWN.has(entry)) symlinkSync(join(checkoutDirectory, entry), join(folder, entry))
  const links = spawnSync('cp', ['-al', join(checkoutDirectory, 'dist'), join(folder, 'dist')])
  // Another file system than the checkout's.
  if (links.status !== 0) cpSync(join(checkoutDirectory, 'dist'), join(folder, 'dist'), { recursive: true })
  // The guard would still be in there.
  rmSync(join(folder, 'dist/bundle'), { recursive: true, force: true })
  const source = removeGuard(guard)
  if (guard.file.endsWith('.ts')) return writeAnew(join(folder, 'dist', outputOf(guard.file)), compile(guard, source))
  // Of what is not compiled the whole top folder is a copy.
  const [top = ''] = guard.file.split('/')
  rmSync(join(folder, top))
  cpSync(join(checkoutDirectory, top), join(folder, top), { recursive: true })
  writeAnew(join(folder, guard.file), source)
}

const outputOf = (/** @type {string} */ file) => file.replace(/\.ts$/, '.js')

/** @param {Guard} guard @param {string} source */
function compile({ name, file }, source) {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(checkoutDirectory, 'tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    checkoutDirectory,
  )
  const { outputText, diagnostics = [] } = ts.transpileModule(source, {
    compilerOptions: { ...options, module: ts.ModuleKind.ESNext, sourceMap: false },
    fileName: file,
    reportDiagnostics: true,
  })
  if (diagnostics.some((one) => one.file)) throw new Error(`guard "${name}": what is left of ${file} is no TypeScript`)
  return outputText
}

/** A link to the checkout's own file is taken away, not written through. @param {string} path @param {string} text */
function writeAnew(path, text) {
  rmSync(path)
  writeFileSync(path, text)
}

/**
 * Runs the named test alone; with its whole file where tap ends before it, as it does where everything up to there is
 * awaited and left out.
 * @param {string} root @param {Guard} guard @returns {Promise<Result>}
 */
async function runTest(root, { test, title }) {
  /** @type {Result} */
  let result = { ending: 'not run', why: '' }
  for (const filter of [{ TAP_GREP: `/^${toPattern(title)}$/` }, {}]) {
    const { output } = await runProgram(
      process.execPath,
      ['--import=./test/support/bare-children.mjs', join('dist', outputOf(test))],
      {
        cwd: root,
        env: { ...testEnvironment(), ...filter, TAP_TIMEOUT: String(TEST_DEADLINE_MS / 1_000) },
        deadlineMs: TEST_DEADLINE_MS,
      },
    )
    result = resultOf(readResults(output), title)
    if (result.ending !== 'not run') break
  }
  return result
}

/** A `${…}` in a title is any text. @param {string} title */
const toPattern = (title) =>
  title
    .split(/\$\{\w+\}/)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
    .join('.*')

/**
 * Of several tests whose title fits, the one that did not pass.
 * @param {Map<string, Result>} results @param {string} title
 */
function resultOf(results, title) {
  const fits = new RegExp(`^${toPattern(title)}$`)
  const fitting = [...results].filter(([name]) => fits.test(name)).map(([, result]) => result)
  return fitting.find(({ ending }) => ending !== 'green') ?? fitting[0] ?? { ending: 'not run', why: '' }
}

/** What fails by itself where a program is not whole, and says nothing of a guard. */
const BROKEN = /is not defined|is not a function|is not iterable|Cannot (?:read|find)|has already been declared/
/** The ends of a wait: tap's own, and those of test/support/deadlines.ts, also where a test says more of them. */
const LATE = /^(?:timeout!|(?:Error: )*not within \d+ ms: )/

const WHY_CHARACTERS = 120

/** How each top-level test ended, by what its own assertions say. @param {string} output */
function readResults(output) {
  /** @type {Map<string, Result>} */
  const results = new Map()
  /** @type {string[]} */
  let failures = []
  for (const line of output.split('\n')) {
    if (line.startsWith('# Subtest: ')) failures = []
    // The closing line of an inner test repeats what its assertions said.
    const inner = /^ +not ok \d+ - (?!.* # (?:time=|SKIP|TODO))(.*)$/i.exec(line)
    if (inner) failures.push(unescape(inner[1]))
    const [, not, text] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? []
    if (text === undefined) continue
    const title = unescape(text.replace(/ # (?:time=|SKIP|TODO).*$/i, ''))
    const told = failures.find((failure) => !LATE.test(failure) && !BROKEN.test(failure))
    const why = (told ?? failures[0] ?? '').slice(0, WHY_CHARACTERS)
    const isSkipped = / # (?:SKIP|TODO)/i.test(text)
    const failed = told !== undefined ? 'red' : failures.some((failure) => LATE.test(failure)) ? 'late' : 'broken'
    // The first word counts: one that is late is told once more at the end of the file.
    if (!results.has(title)) results.set(title, { ending: isSkipped ? 'skipped' : not ? failed : 'green', why })
    failures = []
  }
  return results
}

const unescape = (/** @type {string} */ text) => text.replaceAll(/\\(.)/g, '$1')

/**
 * Takes each guard away, one at a time, and expects its test to fail: first that it passes with the guard.
 * @param {string[]} only names, or parts of them
 */
export async function runGuards(only = []) {
  const guards = readGuards().filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)))
  const tally = { passed: 0, failed: 0, skipped: 0 }
  /** @type {Map<string, Promise<Result>>} */
  const withGuard = new Map()
  const folder = mkdtempSync(join(tmpdir(), 'cce-guards-'))
  const tell = (/** @type {keyof typeof tally} */ kind, /** @type {string} */ text) => {
    tally[kind] += 1
    console.log(`${kind === 'failed' ? 'not ok' : 'ok'} guard: ${text}`)
  }
  const say = ({ ending, why }) => (why === '' ? ending : `${ending} (${why})`)
  async function tryGuard(/** @type {Guard} */ guard, /** @type {string} */ tree) {
    const { name, test, title } = guard
    // The same test in the same way, or what comes of it would not be for want of the guard.
    const key = `${test}\0${title}`
    if (!withGuard.has(key)) withGuard.set(key, runTest(checkoutDirectory, guard))
    const before = await withGuard.get(key)
    if (before.ending === 'skipped') return tell('skipped', `${name}: its test is skipped here`)
    if (before.ending !== 'green') return tell('failed', `${name}: with it "${title}" is ${say(before)}`)
    mkdirSync(tree)
    await makeTree(tree, guard)
    const startedAt = performance.now()
    const after = await runTest(tree, guard)
    const seconds = `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`
    rmSync(tree, { recursive: true, force: true })
    if (after.ending === (guard.ends ?? 'red')) return tell('passed', `${name} (${test}, ${seconds}) ${after.why}`)
    tell('failed', `${name}: without it "${title}" in ${test} is ${say(after)} (${seconds})`)
  }
  try {
    const left = guards.map((guard, index) => ({ guard, tree: join(folder, String(index)) }))
    await Promise.all(
      Array.from({ length: JOBS }, async () => {
        for (let next = left.shift(); next; next = left.shift())
          await tryGuard(next.guard, next.tree).catch((error) => tell('failed', String(error)))
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  if (guards.length === 0) tell('failed', `there is none of the name ${only.join(', ')}`)
  return tally
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [first, ...others] = process.argv.slice(2)
  // Within test:all everything is compiled already.
  const built = first === '--built' ? undefined : await compileTests()
  const names = [first, ...others].filter((name) => name !== undefined && name !== '--built')
  const tally = built?.failed ? built : await runGuards(names)
  process.exitCode = tally.failed === 0 ? 0 : 1
  console.log(lastLine(tally))
}
