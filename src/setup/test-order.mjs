import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { checkoutDirectory } from './cache.mjs'

/**
 * What takes longest comes first, or it would run alone at the end while the other cores have nothing to do. In this
 * order (keep-order.mjs holds tap to it).
 */
const LONGEST = [
  'test/faults/faults.test.ts',
  'test/executions/continue.test.ts',
  'test/executions/upgrade.test.ts',
  'test/mcp/mcp.test.ts',
  'test/mcp/services.test.ts',
  'test/hooks/hooks.test.ts',
  'test/hooks/list-hooks.test.ts',
  'test/executions/own-usage.test.ts',
  'test/executions/sessions.test.ts',
  'test/executions/scripted-cli.test.ts',
  'test/supervision/supervised-process.test.ts',
  'test/cli/cli.test.ts',
  'test/cli/run.test.ts',
  'test/started/npm-start.test.ts',
  'test/main/claude-watch.test.ts',
  'test/executions/credentials.test.ts',
  'test/readme.test.ts',
  'test/executions/retry.test.ts',
  'test/repositories/repository-runs.test.ts',
  'test/executions/runs.test.ts',
  'test/executions/mcp-servers.test.ts',
  'test/executions/login.test.ts',
  'test/executions/task-lists.test.ts',
  'test/client/client.test.ts',
  'test/verification/evidence.test.ts',
  'test/executions/workspaces.test.ts',
  'test/replays/replays.test.ts',
  'test/end-to-end/start.test.ts',
  'test/executions/approvals.test.ts',
  'test/executions/background.test.ts',
  'test/executions/background-lost.test.ts',
  'test/executions/attachments.test.ts',
  'test/queue/queue.test.ts',
  'test/executions/sandbox.test.ts',
  'test/executions/messages.test.ts',
  'test/executions/parking.test.ts',
  'test/claude/login.test.ts',
  'test/claude/denials.test.ts',
  'test/routes/events.test.ts',
  'test/executions/changed-records.test.ts',
  'test/end-to-end/approvals.test.ts',
  'test/executions/schema-threads.test.ts',
  'test/telemetry/telemetry.test.ts',
  'test/routes/files.test.ts',
  'test/verification/receipt-routes.test.ts',
  'test/routes/execute.test.ts',
  'test/routes/service.test.ts',
  'test/executions/approval-parking.test.ts',
  'test/main/doctor.test.ts',
  'test/cli-contract/contract.test.ts',
  'test/routes/executions.test.ts',
  'test/executions/json-mode.test.ts',
  'test/schedules/schedules.test.ts',
  'test/executions/scarce-start.test.ts',
  'test/fuzz/fuzz.test.ts',
]

/**
 * In the order in which they begin. Of the checkout and not of dist, where the output of a deleted test may still lie.
 * @returns {string[]}
 */
export function listTests() {
  const files = readdirSync(join(checkoutDirectory, 'test'), { recursive: true, encoding: 'utf8' })
  const tests = files
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`)
    .sort()
  const longest = LONGEST.filter((file) => tests.includes(file))
  return [...longest, ...tests.filter((file) => !longest.includes(file))]
}

/** So that LONGEST does not grow old unseen. @param {Map<string, number>} times */
export function remarksOnOrder(times) {
  const known = LONGEST.map((file) => times.get(file) ?? 0).sort((a, b) => a - b)
  const median = known[Math.floor(known.length / 2)] ?? 0
  const late = [...times].filter(([file, milliseconds]) => !LONGEST.includes(file) && milliseconds > median)
  return [
    ...LONGEST.filter((file) => !times.has(file)).map(
      (file) => `${file} was not run: take it out of LONGEST (src/setup/test-order.mjs)`,
    ),
    ...late.map(
      ([file, milliseconds]) => `${file} took ${seconds(milliseconds)}: put it into LONGEST (src/setup/test-order.mjs)`,
    ),
  ]
}

/**
 * Where a test is run: `test/a.test.ts` is `dist/test/a.test.js`; options stay as they are. @param {string} argument
 */
export const outputOf = (argument) => argument.replace(/^(?:\.\/)?(test\/.*)\.ts$/, 'dist/$1.js')
/** The reverse. */
export const sourceOf = (/** @type {string} */ name) => name.replace(/^dist\/(test\/.*)\.js$/, '$1.ts')
const seconds = (/** @type {number} */ milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`
