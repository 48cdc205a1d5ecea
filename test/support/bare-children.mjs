// Tests are compiled, and their children run as in production.
import { appendFileSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import onSpawn from 'process-on-spawn'

// tap starts every child of a test with its loader, to count the child's coverage too: half a second for each scripted
// CLI, and a process that differs from the one in production. What a test covers by itself is enough for the threshold.
onSpawn.removeAllListeners()
// Of package.json, plain-loading.mjs.
delete process.env.NODE_OPTIONS
// fork() hands them on, tap's loader among them: in an environment without tap's variables it would count the child's
// coverage even where none is asked for, and one file alone would fail below the threshold.
process.execArgv.length = 0

// It has kept tap from loading the TypeScript compiler into this process, half a second for each file (package.json).
// What a newer Node's tap would make of it later, an option for every child, is not wanted.
delete process.env.TAP_TYPE_STRIP_ONLY

// Where tap is killed nobody is left to tell a test that it is over; it would go on with all that it has started.
const tap = process.ppid
setInterval(() => {
  if (process.ppid !== tap) process.exit(1)
}, 1_000).unref()

// Wall time tells how busy the machine was; this tells what a test costs (src/setup/run-tests.mjs reads it).
const costs = process.env.CC_EXECUTOR_TEST_COSTS
delete process.env.CC_EXECUTOR_TEST_COSTS
let begun = { file: process.argv[1], from: Math.round(performance.timeOrigin), seconds: 0 }
if (costs !== undefined) {
  process.on('exit', () => writeCost())
  // Of share-process.ts. What comes before its first file and after its last is nobody's.
  process.on('cc-executor.file-begins', (file) => {
    begun = { file: resolve(file), from: Date.now(), seconds: cpuSeconds() }
    write({ begins: begun.file, pid: process.pid })
  })
  process.on('cc-executor.file-hangs', (tests) => write({ hangs: begun.file, tests }))
  process.on('cc-executor.file-ends', (result) => {
    writeCost(result)
    begun = { file: process.argv[1], from: Date.now(), seconds: cpuSeconds() }
  })
}

/** From when to when: the lines of all files together show what ran beside what, and what ran alone at the end. */
function writeCost(result = {}) {
  const { file, from } = begun
  write({ file, seconds: cpuSeconds() - begun.seconds, from, to: Date.now(), ...result })
}

function write(line) {
  appendFileSync(costs, `${JSON.stringify(line)}\n`)
}

/** Of this process and of every child that it has seen end, with that one's children. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6 + childSeconds()
}

function childSeconds() {
  try {
    // After the name, which may hold anything: the fields from the third on, in ticks of 10 ms.
    const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1).split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  } catch {
    // Not Linux: its own alone.
    return 0
  }
}
