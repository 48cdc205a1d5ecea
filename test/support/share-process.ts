// Test files one after another in this process, each the next that none of the processes beside it has taken: loading
// tap and the service takes longer than most of the files (src/setup/run-tests.mjs, share-processes.mjs).
import type { EventEmitter } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'

/** Several times what the longest takes, and short enough that all of them end in the time that CI has. */
const FILE_TIMEOUT_MS = 300_000

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
  await runTest(file, { timeout: FILE_TIMEOUT_MS }, async (test) => {
    own = here.test = test
    await import(pathToFileURL(join(directory, file)).href)
  })
  events.emit('cc-executor.file-ends', { ok: own?.passing() === true, assertions: own?.counts })
  restore()
}

/** What a file has changed for its children is not meant for those of the next. */
function restore(): void {
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(environment, name)) delete process.env[name]
  Object.assign(process.env, environment)
  process.chdir(directory)
}
