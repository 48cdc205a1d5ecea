import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'

import { buildWith, forgetBuild } from './build.mjs'
import { bundlePackages } from './bundle-packages.mjs'
import { cacheDirectory, cachedProgram, checkoutDirectory, findOnPath } from './cache.mjs'
import { statusLine } from './messages.mjs'
import { createTapReader } from './read-tap.mjs'
import { runProgram } from './run-program.mjs'
import { describeUnfinished, followSharedFiles, isAnyAlive, readFileCosts, shareProcesses } from './share-processes.mjs'
import { listTests, outputOf, remarksOnOrder, sourceOf } from './test-order.mjs'

const TYPES_DEADLINE_MS = 900_000
const TESTS_DEADLINE_MS = 3_600_000
const ALL_TESTS_DEADLINE_MS = 7_200_000
/** Processes that have died leave to tap what they have written; what holds its pipe after that is not waited for. */
const DEAD_MS = 5_000
/** Where all files have ended tap still counts their coverage. */
const COVERAGE_MS = 120_000

const SHOWN_FAILURES = 25
const SHOWN_LINES = 60

/** More than cores, since tests wait for most of their time. Bounded: each has a Redis and processes of its own. */
const JOBS = Math.min(availableParallelism() + 4, 8)

/** @typedef {{ passed: number, failed: number, skipped: number }} Tally */

/** The line that everything which calls `npm test` reads. @param {Tally} tally */
export function lastLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * The check of types is the build as well, and emits the tests beside what they test: tap would compile all of it anew
 * for every test file.
 */
export async function compileTests() {
  if (!listTests().every((file) => existsSync(join(checkoutDirectory, outputOf(file))))) forgetBuild()
  let tally = { passed: 0, failed: 0, skipped: 0 }
  await buildWith(async () => {
    tally = await check('types', join(checkoutDirectory, 'node_modules/.bin/tsc'), [], TYPES_DEADLINE_MS)
    return tally.failed === 0
  })
  if (tally.failed === 0) await bundlePackages()
  return tally
}

/**
 * One step beside the tests, told in a line.
 *
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {number} deadlineMs
 * @param {{ isBackground?: boolean }} [options]
 * @returns {Promise<Tally>}
 */
export async function check(name, command, args, deadlineMs, { isBackground = false } = {}) {
  const startedAt = performance.now()
  // oxlint colours whatever it says as soon as it sees CI, NO_COLOR or not.
  const env = { ...testEnvironment(), NO_COLOR: '1', CI: undefined }
  const { code, expired, output } = await runProgram(command, args, {
    cwd: checkoutDirectory,
    env,
    deadlineMs,
    isBackground,
  })
  const ok = code === 0
  if (!ok) console.log(output.trimEnd())
  const ending = expired ? ', ended at its deadline' : ''
  console.log(`${mark(ok)} ${name} (${seconds(performance.now() - startedAt)}${ending})`)
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }
}

/**
 * @param {string[]} args
 * @param {boolean} all also what takes long, and each file in a process of its own
 * @param {NodeJS.ProcessEnv} [more] further variables of the tests
 * @param {number} [leftMs] how long they may take, where that is less than they may take otherwise
 * @returns {Promise<Tally>}
 */
export async function runTests(args, all, more = {}, leftMs = Infinity) {
  const shared =
    args.length === 0 && !all ? shareProcesses(checkoutDirectory, listTests().map(outputOf), JOBS) : undefined
  mkdirSync(join(checkoutDirectory, '.tap'), { recursive: true })
  const raw = createWriteStream(join(checkoutDirectory, '.tap/all.tap'))
  const costsFile = join(checkoutDirectory, '.tap/costs.jsonl')
  rmSync(costsFile, { force: true })
  const costs = () => readFileCosts(costsFile, checkoutDirectory)
  const line = statusLine()
  /** @type {Map<string, number>} */
  const times = new Map()
  /** @param {{ ok: boolean, name: string, milliseconds: number, assertions: number, cpu: number | undefined }} file */
  const tell = ({ ok, name, milliseconds, assertions, cpu }) => {
    line.clear()
    times.set(sourceOf(name), milliseconds)
    const took = [seconds(milliseconds), ...(cpu === undefined ? [] : [`CPU ${seconds(cpu * 1000)}`])]
    console.log(`${mark(ok)} ${sourceOf(name)} (${assertions} assertions, ${took.join(', ')})`)
  }
  const reader = createTapReader((file) => {
    if (!shared) tell({ ...file, cpu: costs().findLast((cost) => cost.file === file.name)?.seconds })
  })
  const { report } = reader
  const counted = { passed: 0, failed: 0, skipped: 0 }
  const ended = followSharedFiles(shared ? costs : () => [], ({ file, ok, assertions, seconds: cpu, from, to }) => {
    const { total = 0, pass = 0, fail = 0, skip = 0, todo = 0 } = assertions ?? {}
    counted.passed += pass
    counted.failed += fail
    counted.skipped += skip + todo
    tell({ ok: ok === true, name: file, milliseconds: to - from, assertions: total, cpu })
  })
  line.follow(() => `tests: ${lastLine(shared ? counted : report)}`)
  const deadlineMs = Math.min(leftMs, all ? ALL_TESTS_DEADLINE_MS : TESTS_DEADLINE_MS)
  const gone = new AbortController()
  const looking = shared && whenNoneIsAlive(costsFile, () => gone.abort())
  const { code, expired, stderr, output } = await runProgram(
    join(checkoutDirectory, 'node_modules/.bin/tap'),
    ['-R', 'tap', `--jobs=${JOBS}`, ...toArguments(args, shared?.programs)],
    {
      cwd: checkoutDirectory,
      env: {
        ...testEnvironment(),
        // Of what stays on this machine, only all tests go beyond; some hundred processes read it at their start.
        ...(!all && { NODE_EXTRA_CA_CERTS: undefined }),
        CC_EXECUTOR_TEST_COSTS: costsFile,
        // For tap itself: its children have another (package.json).
        NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${new URL('keep-order.mjs', import.meta.url).href}`,
        ...(all && { CC_EXECUTOR_TEST_ALL: '1' }),
        ...shared?.env,
        ...(shared && { CC_EXECUTOR_TEST_ENDS_AT: String(Date.now() + deadlineMs) }),
        ...more,
      },
      deadlineMs,
      signal: gone.signal,
      onStdout: (chunk) => {
        raw.write(chunk)
        reader.read(chunk)
      },
    },
  )
  clearInterval(looking)
  raw.end()
  reader.end()
  ended.stop()
  line.stop()
  showFailures(report)
  // A file that failed as a whole died before it could say why in TAP.
  const died = report.failures.some(({ path }) => path.length === 1)
  if (died && stderr.trim() !== '') console.log(`what the tests said on standard error:\n${lastLines(stderr)}\n`)
  for (const remark of [...report.remarks, ...(args.length > 0 ? [] : remarksOnOrder(times))]) console.log(remark)
  const cost = costs().reduce((sum, each) => sum + each.seconds, 0)
  if (args.length === 0) console.log(`CPU of all tests: ${seconds(cost * 1000)}`)
  const tally = { passed: report.passed, failed: report.failed, skipped: report.skipped }
  const unfinished = shared ? describeUnfinished(costsFile, checkoutDirectory, listTests().map(outputOf)) : []
  for (const { file, why } of unfinished) console.log(`${sourceOf(file)} did not come to its end: ${why}`)
  tally.failed += unfinished.length
  if (expired) console.log(`tap was ended at its deadline of ${seconds(deadlineMs)}; what it said is in .tap/all.tap`)
  else if (!report.complete) console.log(`tap ended early (exit code ${code}):\n${lastLines(output)}`)
  // tap also fails without a failed assertion: below the coverage threshold, or when it found no tests.
  else if (code !== 0 && tally.failed === 0)
    console.log(`tap itself failed (exit code ${code}): coverage below its threshold, or no tests`)
  if ((code !== 0 || !report.complete) && (tally.failed === 0 || expired)) tally.failed += 1
  return tally
}

/** @param {string[]} args @param {string[] | undefined} programs */
function toArguments(args, programs) {
  // tap's own limit is meant for a file; where files share a process, each has one of its own.
  if (programs) return [`--timeout=${TESTS_DEADLINE_MS / 1000}`, ...programs]
  // A part of the tests cannot reach the coverage of all.
  return args.length > 0 ? ['--disable-coverage', ...args.map(outputOf)] : listTests().map(outputOf)
}

/**
 * tap waits for the pipes of its processes, also where one has died and what it had started holds them.
 *
 * @param {string} costsFile
 * @param {() => void} onNone
 */
function whenNoneIsAlive(costsFile, onNone) {
  const files = listTests().map(outputOf)
  let seenAt = performance.now()
  return setInterval(() => {
    const goneMs = performance.now() - seenAt
    if (isAnyAlive(costsFile)) seenAt = performance.now()
    else if (goneMs > DEAD_MS && (goneMs > COVERAGE_MS || describeUnfinished(costsFile, checkoutDirectory, files)[0]))
      onNone()
  }, 1_000)
}

/** @param {import('./read-tap.mjs').TapReport} report */
function showFailures({ failures, expired }) {
  for (const { path, diagnosis } of failures.slice(0, SHOWN_FAILURES)) {
    console.log([`\nnot ok: ${path.map(sourceOf).join(' > ')}`, ...diagnosis.map((text) => `    ${text}`)].join('\n'))
  }
  if (failures.length > SHOWN_FAILURES)
    console.log(`\n… and ${failures.length - SHOWN_FAILURES} more failures, in .tap/all.tap`)
  for (const file of new Set(expired)) {
    const results = join(checkoutDirectory, '.tap/test-results', `${file}.tap`)
    if (existsSync(results))
      console.log(
        `\nthe end of what ${sourceOf(file)} said before its timeout:\n${lastLines(readFileSync(results, 'utf8'))}`,
      )
  }
  if (failures.length > 0) console.log('')
}

/** Tests find the programs of the cache after those of the system, as the service does. */
export function testEnvironment() {
  const path = [join(checkoutDirectory, 'node_modules/.bin'), process.env.PATH, join(cacheDirectory(), 'bin')]
  const claude = process.env.CC_EXECUTOR_CLAUDE_BIN || (findOnPath('claude') ? undefined : cachedProgram('claude'))
  return {
    ...process.env,
    PATH: path.filter(Boolean).join(delimiter),
    ...(claude && { CC_EXECUTOR_CLAUDE_BIN: claude }),
  }
}

const mark = (/** @type {boolean} */ ok) => (ok ? 'ok' : 'not ok')
const seconds = (/** @type {number} */ milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`
const lastLines = (/** @type {string} */ text) => text.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n')
