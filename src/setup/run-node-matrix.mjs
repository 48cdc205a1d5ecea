import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'
import { provideNode } from './provide-node.mjs'
import { compileTests, lastLine, runTests } from './run-tests.mjs'
import { runProgram } from './run-program.mjs'

/** The floor of package.json, and of each later line that is supported or becomes so one that npm has today. */
export const NODE_VERSIONS = ['20.19.0', '22.23.5', '24.22.3', '26.12.1']

const BUILD_DEADLINE_MS = 5 * 60_000

/** What meets Node's HTTP server, streams, processes and loader: the started service first. */
const TESTS = [
  'test/started/npm-start.test.ts',
  'test/started/processes.test.ts',
  'test/mcp/mcp.test.ts',
  'test/mcp/services.test.ts',
  'test/executions/runs.test.ts',
  'test/client/client.test.ts',
  'test/routes/execute.test.ts',
  'test/routes/events.test.ts',
  'test/routes/service.test.ts',
  'test/rpc/rpc.test.ts',
  'test/rpc/subscriptions.test.ts',
  'test/rpc/original-dialect.test.ts',
  'test/events/events.test.ts',
  'test/events/event-feed.test.ts',
  'test/events/live-tail.test.ts',
  'test/supervision/supervised-process.test.ts',
]

/** @typedef {import('./run-tests.mjs').Tally} Tally */

/**
 * These tests on each version, one after the other. The tests and all that they start find that `node` first on PATH.
 *
 * @param {readonly string[]} [versions]
 * @param {readonly string[]} [tests]
 * @returns {Promise<Tally[]>}
 */
export async function runNodeMatrix(versions = NODE_VERSIONS, tests = TESTS) {
  const path = process.env.PATH
  /** @type {Tally[]} */
  const tallies = []
  for (const version of versions) {
    process.env.PATH = [await provideNode(version), path].join(delimiter)
    try {
      console.log(`Node.js ${version}`)
      // npm start builds where another Node.js has built before: not while the tests load what it writes.
      const { code, output } = await runProgram(
        'node',
        [join(checkoutDirectory, 'src/setup/set-up.mjs'), '--only=build'],
        { cwd: checkoutDirectory, deadlineMs: BUILD_DEADLINE_MS },
      )
      if (code !== 0) console.log(output.trimEnd())
      tallies.push(code === 0 ? await runTests([...tests], false) : { passed: 0, failed: 1, skipped: 0 })
    } finally {
      process.env.PATH = path
    }
  }
  return tallies
}

/** `npm run test:node -- [VERSION…] [TEST…]` @param {string[]} args */
async function main(args) {
  const versions = args.filter((arg) => /^\d/.test(arg))
  const tests = args.filter((arg) => !/^\d/.test(arg))
  const compiled = await compileTests()
  const tallies = [
    compiled,
    ...(compiled.failed > 0
      ? []
      : await runNodeMatrix(versions.length > 0 ? versions : undefined, tests.length > 0 ? tests : undefined)),
  ]
  const sum = (/** @type {keyof Tally} */ key) => tallies.reduce((total, tally) => total + tally[key], 0)
  const total = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
  process.exitCode = total.failed === 0 ? 0 : 1
  console.log(lastLine(total))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2))
}
