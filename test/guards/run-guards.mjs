import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'

import { checkoutDirectory } from '../../src/setup/cache.mjs'
import { runProgram } from '../../src/setup/run-program.mjs'
import { compileTests, lastLine, testEnvironment } from '../../src/setup/run-tests.mjs'

const TEST_DEADLINE_MS = 240_000
const JOBS = Math.min(availableParallelism(), 4)
/** What a tree shares with the checkout; `dist` is a copy, of links to its files. */
const OWN = new Set(['dist', '.git', '.tap'])

/**
 * A guard: `search` stands once in `file`, `replace` is the same without it, and the test `title` in `test` finds that
 * out.
 * @typedef {{ name: string, file: string, search: string, replace: string, test: string, title: string,
 *   ends?: 'skipped' }} Guard
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
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(checkoutDirectory, 'tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    checkoutDirectory,
  )
  const source = removeGuard(guard)
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { ...options, module: ts.ModuleKind.ESNext, sourceMap: false },
    fileName: guard.file,
  })
  const output = join(folder, 'dist', guard.file.replace(/\.ts$/, '.js'))
  // A link to the checkout's own file is taken away, not written through.
  rmSync(output)
  writeFileSync(output, outputText)
}

/**
 * Runs the named test alone; with its whole file where tap ends before it, as it does where everything up to there is
 * awaited and left out.
 * @param {string} root @param {Guard} guard @returns {Promise<'green' | 'red' | 'skipped' | 'not run'>}
 */
async function runTest(root, { test, title }) {
  const pattern = title.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  for (const filter of [{ TAP_GREP: `/^${pattern}$/` }, {}]) {
    const { output } = await runProgram(
      process.execPath,
      ['--import=./test/support/bare-children.mjs', join('dist', test.replace(/\.ts$/, '.js'))],
      {
        cwd: root,
        env: { ...testEnvironment(), ...filter, TAP_TIMEOUT: String(TEST_DEADLINE_MS / 1_000) },
        deadlineMs: TEST_DEADLINE_MS,
      },
    )
    const line = output.split('\n').find((text) => /^(?:not )?ok \d/.test(text) && readTitle(text) === title)
    if (line === undefined) continue
    if (/ # (?:SKIP|TODO)/i.test(line)) return 'skipped'
    return line.startsWith('ok') ? 'green' : 'red'
  }
  return 'not run'
}

const readTitle = (/** @type {string} */ line) =>
  line
    .replace(/^(?:not )?ok \d+ - /, '')
    .replace(/ # (?:time=|SKIP|TODO).*$/i, '')
    .replaceAll(/\\(.)/g, '$1')

/**
 * Takes each guard away, one at a time, and expects its test to fail: first that it passes with the guard.
 * @param {string[]} only names, or parts of them
 */
export async function runGuards(only = []) {
  const guards = readGuards().filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)))
  const tally = { passed: 0, failed: 0, skipped: 0 }
  /** @type {Map<string, Promise<string>>} */
  const withGuard = new Map()
  const folder = mkdtempSync(join(tmpdir(), 'cce-guards-'))
  const tell = (/** @type {keyof typeof tally} */ kind, /** @type {string} */ text) => {
    tally[kind] += 1
    console.log(`${kind === 'failed' ? 'not ok' : 'ok'} guard: ${text}`)
  }
  async function tryGuard(/** @type {Guard} */ guard, /** @type {string} */ tree) {
    const key = `${guard.test}\0${guard.title}`
    if (!withGuard.has(key)) withGuard.set(key, runTest(checkoutDirectory, guard))
    const before = await withGuard.get(key)
    if (before === 'skipped') return tell('skipped', `${guard.name}: its test is skipped here`)
    if (before !== 'green') return tell('failed', `${guard.name}: with it "${guard.title}" is ${before}`)
    mkdirSync(tree)
    await makeTree(tree, guard)
    const after = await runTest(tree, guard)
    rmSync(tree, { recursive: true, force: true })
    if (after === (guard.ends ?? 'red')) return tell('passed', `${guard.name} (${guard.test})`)
    tell('failed', `${guard.name}: without it "${guard.title}" in ${guard.test} is ${after}`)
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
