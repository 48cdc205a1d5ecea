import { inspect } from 'node:util'

import { Parser } from 'tap-parser'

import { isSharedProcess } from './share-processes.mjs'

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
 *
 * @typedef {{ ok: boolean, name: string, milliseconds: number, assertions: number }} FinishedFile
 *
 * @typedef {object} OpenTest
 * @property {string[]} path
 * @property {number} assertions in it and in the tests within it
 * @property {number} failures likewise
 */

/**
 * Reads tap's TAP as it comes; the report is whole after `end`.
 *
 * @param {(file: FinishedFile) => void} [onFile] a test file is finished
 */
export function createTapReader(onFile) {
  /** @type {TapReport} */
  const report = { passed: 0, failed: 0, skipped: 0, failures: [], expired: [], remarks: [], complete: false }
  const parser = new Parser()
  follow(parser, [])
  parser.on('comment', readRemark)
  parser.on('extra', readRemark)

  /**
   * @param {Parser} level the whole output, or a test in it
   * @param {OpenTest[]} parents outermost first, the test of this level last
   */
  function follow(level, parents) {
    /** The test whose closing line is the next result. @type {OpenTest | undefined} */
    let inner
    level.on('child', (child) => {
      // What ran a file says nothing about it.
      const path = isSharedProcess(child.name) ? [] : [...(parents.at(-1)?.path ?? []), child.name]
      inner = { path, assertions: 0, failures: 0 }
      follow(child, [...parents, inner])
    })
    level.on('assert', (result) => {
      countResult(result, parents, inner)
      if (parents.length === 0 && inner !== undefined)
        onFile?.({ ok: result.ok, name: result.name, milliseconds: result.time ?? 0, assertions: inner.assertions })
      inner = undefined
    })
  }

  /**
   * @param {import('tap-parser').Result} result
   * @param {OpenTest[]} parents
   * @param {OpenTest | undefined} inner
   */
  function countResult({ ok, name, skip, todo, diag }, parents, inner) {
    const isSkipped = skip !== false || todo !== false
    const hasFailed = !ok && !isSkipped
    // A test's closing line repeats what its assertions said, unless it is the first to complain (an exit code, a
    // plan).
    if (inner !== undefined && inner.assertions > 0 && !(hasFailed && inner.failures === 0)) return
    for (const test of parents) test.assertions += 1
    if (isSkipped) report.skipped += 1
    else if (ok) report.passed += 1
    else {
      report.failed += 1
      for (const test of parents) test.failures += 1
      report.failures.push({ path: [...(parents.at(-1)?.path ?? []), name], diagnosis: toLines(diag) })
      if (parents.length === 0 && typeof diag?.expired === 'string') report.expired.push(diag.expired)
    }
  }

  /** @param {string} text a comment or a line that is no TAP, outside of every test */
  function readRemark(text) {
    const line = text.trimEnd()
    const totals = /^# \{ (total: .*) \}$/.exec(line)?.[1]
    if (totals !== undefined) {
      // tap's own count is the truth; ours stands when tap did not come to its end.
      const count = Object.fromEntries(totals.split(', ').map((pair) => pair.split(': ')))
      report.passed = Number(count['pass'] ?? 0)
      report.failed = Number(count['fail'] ?? 0)
      report.skipped = Number(count['skip'] ?? 0) + Number(count['todo'] ?? 0)
      report.complete = true
    } else if (/^(Statements|Branches|Functions|Lines) +:|^All files|^# ERROR/i.test(line)) {
      report.remarks.push(line.replace(/^# /, ''))
    }
  }

  return {
    report,
    /** @param {string} chunk */
    read(chunk) {
      parser.write(chunk)
    },
    end() {
      parser.end()
    },
  }
}

/** @param {Record<string, unknown> | null} diagnosis tap's YAML */
function toLines(diagnosis) {
  const shown = Object.entries(diagnosis ?? {}).filter(([key]) => !NOISE.has(key))
  return shown.flatMap(([key, value]) => toEntry(key, value)).slice(0, DIAGNOSIS_LINES)
}

/** @param {string} key @param {unknown} value */
function toEntry(key, value) {
  const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6 })
  if (!text.includes('\n')) return [`${key}: ${text}`]
  return [`${key}: |`, ...text.split('\n').map((line) => `  ${line}`)]
}
