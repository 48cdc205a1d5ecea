import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { CLAUDE_VERSION, OLDEST_CLAUDE_VERSION } from './cache.mjs'
import { askForLatest, fetchClaude, withClaudeLock } from './fetch-claude.mjs'
import { SetUpError } from './messages.mjs'
import { compileTests, lastLine, runTests } from './run-tests.mjs'

const FILE = 'test/cli-contract/contract.test.ts'

/** @typedef {{ version: string, name: string, for: string, found: string, isKnown: boolean }} Look */

/**
 * Everything that our code relies on, looked at in any versions of the CLI: `npm run test:cli -- 2.1.340 latest`,
 * without a
 * version on both ends of the range. They are fetched into the cache; which of them the service uses stays as it is.
 *
 * @param {string[]} words
 */
async function runContract(words) {
  const versions = await fetchVersions(words.length === 0 ? [OLDEST_CLAUDE_VERSION, CLAUDE_VERSION] : words)
  const total = await compileTests()
  const folder = mkdtempSync(join(tmpdir(), 'cc-executor-contract-'))
  const table = join(folder, 'table.json')
  try {
    const { passed, failed, skipped } = await runTests([FILE, '--timeout=1200'], true, {
      CC_EXECUTOR_CONTRACT_VERSIONS: versions.join(','),
      CC_EXECUTOR_CONTRACT_TABLE: table,
    })
    printTable(versions, JSON.parse(readFileSync(table, 'utf8')))
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exitCode = total.failed === 0 ? 0 : 1
  console.log(lastLine(total))
}

/** @param {string[]} words */
export async function fetchVersions(words) {
  return withClaudeLock(async () => {
    const versions = []
    for (const word of words) {
      if (word !== 'latest' && !/^\d+\.\d+\.\d+$/.test(word))
        throw new SetUpError(`"${word}" is not a version: write latest, or numbers such as ${CLAUDE_VERSION}`)
      versions.push(word === 'latest' ? await askForLatest() : word)
    }
    for (const version of versions) await fetchClaude(version)
    return versions
  })
}

/**
 * A line a fact, a column a version; what no version of this service can live with is marked.
 *
 * @param {string[]} versions
 * @param {Look[]} looks
 */
function printTable(versions, looks) {
  const names = [...new Set(looks.map(({ name }) => name))]
  const cell = (/** @type {string} */ name, /** @type {string} */ version) => {
    const look = looks.find((one) => one.name === name && one.version === version)
    return look === undefined
      ? '(not looked at)'
      : look.isKnown
        ? look.found
        : `!! ${look.found.replaceAll(/\s+/g, ' ').slice(0, 60)}`
  }
  const rows = [
    ['fact', ...versions],
    ...names.map((name) => [name, ...versions.map((version) => cell(name, version))]),
  ]
  const widths = [0, ...versions.map((_, index) => index + 1)].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  console.log('')
  for (const row of rows)
    console.log(
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  const [oldest] = versions
  const different = names.filter((name) => versions.some((version) => cell(name, version) !== cell(name, oldest ?? '')))
  console.log(`\n${names.length} facts, ${different.length} of them not alike in all of these versions\n`)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await runContract(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    console.error(`test:cli: ${error.message}`)
    process.exitCode = 1
  }
}
