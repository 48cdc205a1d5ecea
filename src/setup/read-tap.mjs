import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

/** How much of one failure's diagnosis is kept. */
const DIAGNOSIS_LINES = 40
/** What tap says about every failure and nobody needs beside its place and its difference. */
const NOISE = new Set([
  'source',
  'stdio',
  'cwd',
  'command',
  'args',
  'externalID',
  'jobId',
  'at',
  'compare',
  'signal',
  'tapCaught',
])

/**
 * @typedef {object} Failure
 * @property {string[]} path file, tests, assertion
 * @property {string[]} diagnosis
 *
 * @typedef {object} TapReport
 * @property {number} passed assertions; the closing line of a test is none, unless it failed without a failed assertion
 * @property {number} failed
 * @property {number} skipped todo included
 * @property {Failure[]} failures
 * @property {string[]} expired files that hit tap's own timeout; their output is only in .tap/test-results
 * @property {string[]} remarks what follows the tests: coverage
 * @property {boolean} complete tap came to its end
 */

/**
 * Reads tap's TAP line by line as it comes.
 *
 * @param {(file: { ok: boolean, name: string, milliseconds: number, assertions: number }) => void} [onFile] a test file
 * is finished
 */
export function createTapReader(onFile) {
  /** @type {TapReport} */
  const report = { passed: 0, failed: 0, skipped: 0, failures: [], expired: [], remarks: [], complete: false }
  /** By depth: the name of the test that is open there, and whether it had assertions and failures. */
  const open = []
  let assertionsBefore = 0
  /**
   * The YAML block that is being read, and whom it belongs to. @type {{ indent: string, failure?: Failure, noisy:
   * boolean } | undefined}
   */
  let block
  /** @type {string | undefined} */
  let blockIndent
  /** @type {Failure | undefined} */
  let lastFailure
  let rest = ''

  /** @param {string} line */
  function readLine(line) {
    if (block !== undefined) return readBlockLine(line)
    const [, indent, content] = /^(\s*)(.*)$/.exec(line) ?? []
    const depth = indent.length / 4
    // Only right behind a result: a test may print three dashes of its own.
    const opensBlock = content === '---' && indent === blockIndent
    blockIndent = undefined
    if (opensBlock) block = { indent, failure: lastFailure, noisy: false }
    else if (content.startsWith('# Subtest: '))
      open[depth] = { name: content.slice('# Subtest: '.length), assertions: 0, failures: 0 }
    else if (/^(not )?ok\b/.test(content)) {
      readResult(content, depth)
      blockIndent = `${indent}  `
    } else if (depth === 0 && content !== '') readRemark(content)
  }

  /** @param {string} line */
  function readBlockLine(line) {
    if (line.trimEnd() === `${block.indent}...`) {
      block = undefined
      return
    }
    const text = line.slice(block.indent.length)
    const key = /^(\w+):/.exec(text)?.[1]
    if (key !== undefined) block.noisy = NOISE.has(key)
    const { failure, noisy } = block
    if (failure !== undefined && key === 'expired' && failure.path.length === 1)
      report.expired.push(text.slice('expired: '.length))
    if (failure !== undefined && !noisy && failure.diagnosis.length < DIAGNOSIS_LINES) failure.diagnosis.push(text)
  }

  /**
   * @param {string} content
   * @param {number} depth
   */
  function readResult(content, depth) {
    const [, not, description, directive] = /^(not )?ok(?: \d+)?(?: - )?(.*?)(?: # (.*))?$/.exec(content) ?? []
    const inner = open[depth]
    open.length = Math.min(open.length, depth + 1)
    open[depth] = undefined
    const ofTest = inner !== undefined && inner.assertions > 0
    const skipped = /^(skip|todo)\b/i.test(directive ?? '')
    const failed = not !== undefined && !skipped
    lastFailure = undefined
    // A test's closing line repeats what its assertions said, unless it is the first to complain (an exit code, a
    // plan).
    if (!ofTest || (failed && inner.failures === 0)) {
      for (const test of open.slice(0, depth)) if (test !== undefined) test.assertions += 1
      if (skipped) report.skipped += 1
      else if (!failed) report.passed += 1
      else {
        report.failed += 1
        const parents = open.slice(0, depth)
        for (const test of parents) if (test !== undefined) test.failures += 1
        lastFailure = { path: [...parents.map((test) => test?.name ?? '?'), description], diagnosis: [] }
        report.failures.push(lastFailure)
      }
    }
    if (depth === 0 && inner !== undefined) {
      const assertions = report.passed + report.failed + report.skipped - assertionsBefore
      const milliseconds = Number(/time=([\d.]+)ms/.exec(content)?.[1] ?? 0)
      onFile?.({ ok: !failed, name: description, milliseconds, assertions })
    }
    if (depth === 0) assertionsBefore = report.passed + report.failed + report.skipped
  }

  /** @param {string} content */
  function readRemark(content) {
    const totals = /^# \{ (total: .*) \}$/.exec(content)?.[1]
    if (totals !== undefined) {
      // tap's own count is the truth; ours stands when tap did not come to its end.
      const count = Object.fromEntries(totals.split(', ').map((pair) => pair.split(': ')))
      report.passed = Number(count.pass ?? 0)
      report.failed = Number(count.fail ?? 0)
      report.skipped = Number(count.skip ?? 0) + Number(count.todo ?? 0)
      report.complete = true
    } else if (/^(Statements|Branches|Functions|Lines) +:|^All files|^# ERROR/i.test(content)) {
      report.remarks.push(content.replace(/^# /, ''))
    }
  }

  return {
    report,
    /** @param {string} chunk */
    read(chunk) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(readLine)
    },
  }
}

/**
 * CPU seconds by test file, as tap names it, of those that are finished (test/support/bare-children.mjs writes them).
 *
 * @param {string} path
 * @param {string} directory the checkout
 * @returns {Map<string, number>}
 */
export function readCosts(path, directory) {
  /** @type {Map<string, number>} */
  const costs = new Map()
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  for (const line of lines) {
    const { file, seconds } = JSON.parse(line)
    costs.set(relative(directory, file), seconds)
  }
  return costs
}
