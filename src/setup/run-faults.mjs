import { randomBytes } from 'node:crypto'
import { pathToFileURL } from 'node:url'

import { compileTests, lastLine, runTests } from './run-tests.mjs'

const FILE = 'test/faults/faults.test.ts'
const MINUTE_MS = 60_000

/**
 * The fault battery by itself. `--seed S` plays a seed again; `--long N` goes on for N minutes, round after round, each
 * with a seed
 * of its own and with the faults that take long.
 * @param {string[]} args
 */
async function runFaults(args) {
  const seed = readOption(args, '--seed')
  const minutes = readOption(args, '--long')
  if (minutes !== undefined && !(Number(minutes) > 0))
    throw new Error(`--long: expected a number of minutes, it is ${minutes}`)
  const until = performance.now() + Number(minutes ?? 0) * MINUTE_MS
  const total = await compileTests()
  for (let round = 1; round === 1 || performance.now() < until; round += 1) {
    const own = seed === undefined ? randomBytes(4).toString('hex') : round === 1 ? seed : `${seed}-${round}`
    const replay = `npm run test:faults -- ${minutes === undefined ? '' : '--long 0.1 '}--seed ${own}`
    console.log(`round ${round}, seed ${own}; again with: ${replay}`)
    const { passed, failed, skipped } = await runTests([FILE, '--timeout=900'], minutes !== undefined, {
      CC_EXECUTOR_FAULT_SEED: own,
    })
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  process.exitCode = total.failed === 0 ? 0 : 1
  console.log(lastLine(total))
}

/** @param {string[]} args @param {string} name */
function readOption(args, name) {
  const at = args.indexOf(name)
  return at === -1 ? undefined : args[at + 1]
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await runFaults(process.argv.slice(2))
}
