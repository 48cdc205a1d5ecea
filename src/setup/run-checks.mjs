import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'
import { runImages } from './run-images.mjs'
import { runNodeMatrix } from './run-node-matrix.mjs'
import { check, compileTests, lastLine, runTests } from './run-tests.mjs'

const LINT_DEADLINE_MS = 600_000
const TYPES_DEADLINE_MS = 600_000
const FORMAT_DEADLINE_MS = 600_000
const GENERATED_DEADLINE_MS = 300_000
/** A machine with other work needs several times what a quiet one does; each of their tests has a deadline itself. */
const GUARDS_DEADLINE_MS = 3_600_000

/**
 * Of `npm test` once everything is set up: less than CI gives it, so that whatever hangs is named. A quiet machine with
 * two cores needs seven minutes.
 */
const WHOLE_DEADLINE_MS = 575_000
/** Of that, for what follows the tests. */
const AFTERWARDS_MS = 10_000

/** @typedef {import('./run-tests.mjs').Tally} Tally */

const OPTIONS = ['--static', '--all', '--node-matrix', '--guards', '--images']

/** What `npm test` does once everything is set up; with `--static` without the tests. @param {string[]} args */
async function runChecks(args) {
  const all = args.includes('--all')
  const tapArguments = args.filter((arg) => !OPTIONS.includes(arg))
  const endsAt = args.length === 0 ? performance.now() + WHOLE_DEADLINE_MS : Infinity
  const leftMs = () => Math.max(1, endsAt - performance.now())
  // Beside the tests, which wait for most of their time, once what is tested is there.
  const others = runOtherChecks(leftMs())
  const tallies = [await compileTests()]
  if (!args.includes('--static')) tallies.push(await runTests(tapArguments, all, {}, leftMs() - AFTERWARDS_MS))
  tallies.push(...(await others), ...(await compareGenerated()))
  if (args.includes('--guards'))
    tallies.push(await check('guards', process.execPath, ['test/guards/run-guards.mjs', '--built'], GUARDS_DEADLINE_MS))
  if (args.includes('--node-matrix')) tallies.push(...(await runNodeMatrix()))
  if (args.includes('--images')) tallies.push(await runImages())
  const sum = (/** @type {keyof Tally} */ key) => tallies.reduce((total, tally) => total + tally[key], 0)
  const total = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
  process.exitCode = total.failed === 0 ? 0 : 1
  console.log(lastLine(total))
}

/** @param {number} leftMs */
function runOtherChecks(leftMs) {
  const bin = join(checkoutDirectory, 'node_modules/.bin')
  // The compiler comes first, since the tests wait for it, and then the tests, whose pauses are enough for these.
  /** @param {string} name @param {string} program @param {string[]} args @param {number} deadlineMs */
  const beside = (name, program, args, deadlineMs) =>
    check(name, join(bin, program), args, Math.min(deadlineMs, leftMs), { isBackground: true })
  return Promise.all([
    beside('lint', 'oxlint', ['--type-aware', '--deny-warnings'], LINT_DEADLINE_MS),
    beside('format', 'prettier', ['--check', '--log-level=warn', '--cache', '.'], FORMAT_DEADLINE_MS),
    beside('types of the set-up', 'tsc', ['-p', 'tsconfig.setup.json'], TYPES_DEADLINE_MS),
    beside('types of the console', 'tsc', ['-p', 'src/console'], TYPES_DEADLINE_MS),
  ])
}

async function compareGenerated() {
  const tallies = []
  for (const generator of ['src/setup/generate-lua.mjs', 'dist/openapi/generate.js']) {
    if (existsSync(join(checkoutDirectory, generator))) {
      tallies.push(
        await check(`generated files (${generator})`, process.execPath, [generator, '--check'], GENERATED_DEADLINE_MS),
      )
    }
  }
  return tallies
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await runChecks(process.argv.slice(2))
}
