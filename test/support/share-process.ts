// Test files one after another in this process, each the next that none of the processes beside it has taken: loading
// tap and the service takes longer than most of the files (src/setup/run-tests.mjs, share-processes.mjs).
import type { EventEmitter } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'

/** Of one file, with all that it tears down: several times what the longest takes. */
const FILE_TIMEOUT_MS = 420_000
/** For a file that hangs: to be named, and to take down what it has started. */
const GRACE_MS = 15_000
/** Of one that begins when there is no time left. */
const LEAST_MS = 4_000
/** When all tests are ended, whatever they do (src/setup/run-tests.mjs). */
const endsAt = Number(process.env['CC_EXECUTOR_TEST_ENDS_AT'] ?? Infinity)
delete process.env['CC_EXECUTOR_TEST_ENDS_AT']

const queue = process.env['CC_EXECUTOR_TEST_QUEUE'] ?? ''
delete process.env['CC_EXECUTOR_TEST_QUEUE']
const files: string[] = JSON.parse(readFileSync(join(queue, 'files.json'), 'utf8'))
const environment = { ...process.env }
const directory = process.cwd()
// What `t` means to a file here (src/setup/bundle-packages.mjs): its own test, which ends with it.
const here: { test?: Test } = {}
const runTest = t.test
Object.assign(globalThis, { [Symbol.for('cc-executor.test-file')]: here })
// Safe: bare-children.mjs is the one who listens.
const events = process as EventEmitter

for (const [index, file] of files.entries()) {
  if (!isTaken(index)) await runFile(file)
}

/** By a process beside this one. */
function isTaken(index: number): boolean {
  try {
    writeFileSync(join(queue, String(index)), '', { flag: 'wx' })
    return false
  } catch {
    return true
  }
}

async function runFile(file: string): Promise<void> {
  events.emit('cc-executor.file-begins', file)
  let own: Test | undefined
  const timeout = Math.max(LEAST_MS, Math.min(FILE_TIMEOUT_MS, endsAt - Date.now() - 2 * GRACE_MS))
  let hangs = false
  const watch = setTimeout(() => {
    hangs = true
    events.emit('cc-executor.file-hangs', own ? openTests(own) : [])
    // What tap ends by its own timeout may hang once more while it is torn down. The processes beside this one go on.
    setTimeout(() => process.exit(1), GRACE_MS)
  }, timeout)
  await runTest(file, { timeout: timeout + 1_000 }, async (test) => {
    own = here.test = test
    await import(pathToFileURL(join(directory, file)).href)
  })
  clearTimeout(watch)
  events.emit('cc-executor.file-ends', { ok: !hangs && own?.passing() === true, assertions: own?.counts })
  // What goes on in it would meddle with the next file.
  if (hangs) process.exit(1)
  restore()
}

/** Tests that have begun and not ended, those without such tests in them. */
function openTests(test: Test): string[] {
  // Safe: a test's subtests are tests.
  const open = [...(test.activeSubtests as Set<Test>)]
  return open.length === 0 ? [test.fullname] : open.flatMap(openTests)
}

/** What a file has changed for its children is not meant for those of the next. */
function restore(): void {
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(environment, name)) delete process.env[name]
  Object.assign(process.env, environment)
  process.chdir(directory)
}
