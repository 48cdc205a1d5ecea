import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { checkoutDirectory } from './cache.mjs'

// `npm run dev`: the compiler watches the sources; whenever they compile, the service is started again. Where they do
// not, its errors are shown and the service of before keeps running.

const args = process.argv.slice(2)

/** @type {import('node:child_process').ChildProcess | undefined} */
let service
/** Restarts come one after the other; several changes during one of them make one more. */
let isRestarting = false
let isDirty = false
let isEnding = false

const compiler = spawn(
  process.execPath,
  [
    // TypeScript 7.0.2 watches, and sees no change of a file.
    join(checkoutDirectory, 'node_modules/typescript-6/bin/tsc'),
    '-p',
    'tsconfig.build.json',
    '--watch',
    '--preserveWatchOutput',
  ],
  // A group of its own: Ctrl-C reaches this process, which ends both in order.
  { cwd: checkoutDirectory, stdio: ['ignore', 'pipe', 'inherit'], detached: true },
)
createInterface({ input: compiler.stdout }).on('line', (line) => {
  const errors = /Found (\d+) errors?\./.exec(line)?.[1]
  if (errors === undefined) {
    if (line.trim() !== '' && !/Starting (incremental )?compilation/i.test(line)) console.error(line)
  } else if (errors === '0') void restart()
  else console.error(`dev: ${errors} errors; ${service ? 'the service of before keeps running' : 'not started yet'}`)
})
compiler.on('exit', () => void end())
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => void end())

async function restart() {
  isDirty = true
  if (isRestarting) return
  isRestarting = true
  while (isDirty && !isEnding) {
    isDirty = false
    await stopService()
    if (isEnding) break
    console.error(`dev: starting (${new Date().toLocaleTimeString()})`)
    service = spawn(process.execPath, ['--enable-source-maps', 'dist/src/main/cli.js', 'start', ...args], {
      cwd: checkoutDirectory,
      stdio: 'inherit',
      detached: true,
    })
  }
  isRestarting = false
}

async function stopService() {
  const child = service
  service = undefined
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function end() {
  if (isEnding) return
  isEnding = true
  compiler.kill('SIGTERM')
  await stopService()
}
