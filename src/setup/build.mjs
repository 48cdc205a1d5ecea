import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { buildConsole } from './build-console.mjs'
import { bundle, isBundled } from './bundle.mjs'
import { checkoutDirectory } from './cache.mjs'
import { withLock } from './lock.mjs'
import { longStep, SetUpError } from './messages.mjs'
import { runProgram } from './run-program.mjs'

const SOURCE_FOLDERS = ['src', 'plugins', 'routes', 'workers', 'openapi', 'test/bench']
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'src/setup/bundle.mjs']
const STAMP = 'dist/.set-up-stamp'
/** Its sources are Vite's, which makes one page of them. */
const CONSOLE = 'src/console/'
const CONSOLE_PAGE = 'dist/console/index.html'
const BUILD_INFO = 'dist/.tsbuildinfo'
const LOCK = '.cache/build.lock'
const DEADLINE_MS = 5 * 60_000

/**
 * Compiles and bundles into dist when a source, a setting or an output differs from the last build that succeeded.
 */
export async function buildSources({ directory = checkoutDirectory } = {}) {
  if (isBuilt(directory)) return
  await withLock(join(directory, LOCK), async () => {
    if (!isBuilt(directory)) await longStep('building (tsc)', () => build(directory, () => compile(directory)))
  })
}

/**
 * A compilation of more than the sources builds them too. @param {() => Promise<boolean>} compileMore whether it went
 * well
 */
export async function buildWith(compileMore, { directory = checkoutDirectory } = {}) {
  await withLock(join(directory, LOCK), () => build(directory, compileMore))
}

/** @param {string} directory */
export function isBuilt(directory) {
  const sources = sourceFiles(directory)
  if (!isBundled(directory) || !outputsExist(directory, sources)) return false
  if (sources.some(isOfConsole) && !existsSync(join(directory, CONSOLE_PAGE))) return false
  const stamp = readStamp(directory)
  const marks = marksOf(directory, sources)
  if (stamp.marks === marks) return true
  const hash = hashOf(directory, sources)
  if (stamp.hash !== hash) return false
  writeStamp(directory, hash, marks)
  return true
}

/**
 * @param {string} directory
 * @param {() => Promise<boolean>} compileAll
 */
async function build(directory, compileAll) {
  const sources = sourceFiles(directory)
  // Taken before tsc reads: what is edited meanwhile differs from it and is built next time.
  const marks = marksOf(directory, sources)
  const hash = hashOf(directory, sources)
  if (readStamp(directory).hash !== hash) rmSync(join(directory, STAMP), { force: true })
  removeStaleOutputs(directory)
  if (!outputsExist(directory, sources)) forgetBuild(directory)
  if (!(await compileAll())) return
  await bundle(directory)
  await buildConsole(directory)
  writeStamp(directory, hash, marks)
}

/** @param {string} directory */
async function compile(directory) {
  const { code, expired, output } = await runProgram(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    { cwd: directory, deadlineMs: DEADLINE_MS },
  )
  if (expired) throw new SetUpError(`the build did not finish within ${DEADLINE_MS / 60_000} minutes.`)
  if (code !== 0) throw new SetUpError(`the build failed:\n${output.trimEnd()}`)
  return true
}

/** tsc's own memory says that an output which somebody deleted is up to date. */
export function forgetBuild(directory = checkoutDirectory) {
  rmSync(join(directory, BUILD_INFO), { force: true })
}

/** @param {string} directory */
function sourceFiles(directory) {
  return SOURCE_FOLDERS.flatMap((folder) => filesBelow(directory, folder)).filter(
    (file) => /\.(ts|json)$/.test(file) || isOfConsole(file),
  )
}

/** @param {string} file */
const isOfConsole = (file) => file.startsWith(CONSOLE)

/** @param {string} directory @returns {{ hash?: string, marks?: string }} */
function readStamp(directory) {
  const [hash, marks] = (readOrNothing(join(directory, STAMP)) ?? '').split('\n')
  return { hash, marks }
}

/** @param {string} directory @param {string} hash @param {string} marks */
function writeStamp(directory, hash, marks) {
  writeFileSync(join(directory, STAMP), `${hash}\n${marks}\n`)
}

/**
 * What a change leaves on a file, without reading it: equal to the last ones they say that nothing changed. They are
 * looked at before every `npm start`, and reading takes ten times as long.
 *
 * @param {string} directory
 * @param {string[]} sources
 */
function marksOf(directory, sources) {
  const hash = createHash('sha256').update(process.versions.node.split('.', 1).join())
  for (const file of [...SETTINGS, ...sources]) {
    const { size, ino, ctimeNs } = statSync(join(directory, file), { bigint: true, throwIfNoEntry: false }) ?? {}
    hash.update(`\0${file}\0${size}\0${ino}\0${ctimeNs}`)
  }
  return hash.digest('hex')
}

/**
 * Of the contents and not of the times: a checkout which touches everything builds nothing.
 *
 * @param {string} directory
 * @param {string[]} sources
 */
function hashOf(directory, sources) {
  const hash = createHash('sha256').update(process.versions.node.split('.', 1).join())
  for (const file of [...SETTINGS, ...sources])
    hash.update(`\0${file}\0`).update(readOrNothing(join(directory, file)) ?? '')
  return hash.digest('hex')
}

/**
 * @param {string} directory
 * @param {string[]} sources
 */
function outputsExist(directory, sources) {
  return sources
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !isOfConsole(file))
    .every((file) => existsSync(join(directory, 'dist', file.replace(/\.ts$/, '.js'))))
}

/** A deleted source must not live on as a module or a command. @param {string} directory */
function removeStaleOutputs(directory) {
  for (const folder of SOURCE_FOLDERS) {
    for (const file of filesBelow(join(directory, 'dist'), folder)) {
      const source = file.replace(/\.js(\.map)?$/, '.ts')
      if (!existsSync(join(directory, source))) rmSync(join(directory, 'dist', file))
    }
    removeEmptyFolders(join(directory, 'dist', folder))
  }
}

/** @param {string} folder */
function removeEmptyFolders(folder) {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}

/**
 * Paths relative to `directory`, sorted.
 *
 * @param {string} directory
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(directory, folder) {
  if (!existsSync(join(directory, folder))) return []
  return readdirSync(join(directory, folder), { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return filesBelow(directory, path)
      return entry.isFile() ? [path] : []
    })
}

/** @param {string} file */
function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
