import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'
import { SetUpError } from './messages.mjs'
import { runProgram } from './run-program.mjs'

const OUTPUT = 'dist/console'
const NEXT = 'dist/.console-next'
const STAMP = 'made-of'
const CONFIG = 'src/console/vite.config.mjs'
/** What the page is made of: its own sources, and the client that it speaks through. */
const SOURCE_FOLDERS = ['src/console', 'src/client', 'src/protocol', 'src/platform/abort-signals.ts']
const SETTINGS = ['package-lock.json']
const DEADLINE_MS = 5 * 60_000

/**
 * The page of src/console, by Vite, into dist/console; nothing where it was made of the same sources.
 *
 * @param {string} [directory]
 */
export async function buildConsole(directory = checkoutDirectory) {
  if (!existsSync(join(directory, CONFIG))) return
  const hash = hashOf(directory)
  if (isConsoleBuilt(directory, hash)) return
  const { code, expired, output } = await runProgram(
    process.execPath,
    ['node_modules/vite/bin/vite.js', 'build', '--config', CONFIG, '--outDir', join(directory, NEXT), '--emptyOutDir'],
    { cwd: directory, deadlineMs: DEADLINE_MS },
  )
  if (expired) throw new SetUpError(`the console was not built within ${DEADLINE_MS / 60_000} minutes.`)
  if (code !== 0) throw new SetUpError(`the console could not be built:\n${output.trimEnd()}`)
  writeFileSync(join(directory, NEXT, STAMP), hash)
  // In one step: a service that runs never finds half a page.
  rmSync(join(directory, OUTPUT), { recursive: true, force: true })
  renameSync(join(directory, NEXT), join(directory, OUTPUT))
}

/** @param {string} directory */
export function isConsoleBuilt(directory, hash = hashOf(directory)) {
  const stamp = join(directory, OUTPUT, STAMP)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash
}

/** @param {string} directory */
function hashOf(directory) {
  const hash = createHash('sha256')
  for (const name of [...SETTINGS, ...SOURCE_FOLDERS])
    for (const file of listFiles(directory, name))
      hash.update(`\0${file}\0`).update(readFileSync(join(directory, file)))
  return hash.digest('hex')
}

/**
 * Paths relative to `directory`, sorted.
 *
 * @param {string} directory
 * @param {string} name
 * @returns {string[]}
 */
function listFiles(directory, name) {
  const path = join(directory, name)
  if (!existsSync(path)) return []
  if (/\.\w+$/.test(name)) return [name]
  return readdirSync(path)
    .toSorted()
    .flatMap((entry) => listFiles(directory, `${name}/${entry}`))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await buildConsole()
