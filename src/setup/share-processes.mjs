import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** In dist, where modules find what the tests load. */
const PROGRAMS = 'dist/test/.processes'
const QUEUE = '.tap/queue'
const LOOK_MS = 500

/** Whether tap's name of a test is that of a program which runs files. @param {string} name */
export const isSharedProcess = (name) => name.startsWith(`${PROGRAMS}/`)

/**
 * Programs for tap which run the files among them, each the next that nobody has taken. Loading tap, the service and
 * all that it is made of takes longer than most of the files, and what one file has made warm is warm for the next.
 *
 * @param {string} directory the checkout
 * @param {string[]} files compiled, in the order in which they begin
 * @param {number} count
 */
export function shareProcesses(directory, files, count) {
  for (const folder of [PROGRAMS, QUEUE]) {
    rmSync(join(directory, folder), { recursive: true, force: true })
    mkdirSync(join(directory, folder), { recursive: true })
  }
  const queue = join(directory, QUEUE)
  writeFileSync(join(queue, 'files.json'), JSON.stringify(files))
  const programs = Array.from({ length: count }, (_, index) => `${PROGRAMS}/${index + 1}.js`)
  for (const program of programs) writeFileSync(join(directory, program), "import '../support/share-process.js'\n")
  return { programs, env: { CC_EXECUTOR_TEST_QUEUE: queue } }
}

/**
 * What test/support/bare-children.mjs writes when a file has ended; without a result its process has, in the middle.
 *
 * @typedef {object} FileCost
 * @property {string} file as tap names it
 * @property {number} seconds of CPU
 * @property {number} from
 * @property {number} to
 * @property {boolean} [ok]
 * @property {{ total: number, pass?: number, fail?: number, skip?: number, todo?: number }} [assertions]
 */

/**
 * Of those that are finished, as far as it is written.
 *
 * @param {string} path
 * @param {string} directory the checkout
 * @returns {FileCost[]}
 */
export function readFileCosts(path, directory) {
  const costs = readLines(path).filter((line) => line.file !== undefined)
  return costs.map((cost) => ({ ...cost, file: relative(directory, cost.file) }))
}

/** @param {string} path @returns {any[]} */
function readLines(path) {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  return lines.map((line) => JSON.parse(line))
}

/**
 * Files that did not come to their end, each with what is known of why.
 *
 * @param {string} path
 * @param {string} directory the checkout
 * @param {readonly string[]} files
 */
export function describeUnfinished(path, directory, files) {
  const lines = readLines(path)
  const of = (/** @type {string} */ file, /** @type {string} */ key) =>
    lines.findLast((line) => line[key] !== undefined && relative(directory, line[key]) === file)
  return (
    files
      // One that hung may have been ended by tap, whose word of it is lost where something holds its pipe.
      .filter((file) => of(file, 'file')?.ok === undefined || of(file, 'hangs'))
      .map((file) => {
        const { tests } = of(file, 'hangs') ?? {}
        const { pid } = of(file, 'begins') ?? {}
        if (tests !== undefined) return { file, why: `it hung in: ${tests.join('; ') || 'its beginning'}` }
        if (pid === undefined) return { file, why: 'no process was left that could begin it' }
        return { file, why: isAlive(pid) ? `process ${pid} was still at it` : `process ${pid} died in it` }
      })
  )
}

/** Whether some process still is at a file. @param {string} path */
export function isAnyAlive(path) {
  const pids = new Set(readLines(path).flatMap(({ pid }) => pid ?? []))
  return pids.size === 0 || [...pids].some(isAlive)
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/**
 * Tells of each file that has ended in a shared process, soon: tap holds back what runs beside its first program.
 *
 * @param {() => FileCost[]} read
 * @param {(cost: FileCost) => void} onFile
 */
export function followSharedFiles(read, onFile) {
  let known = 0
  const look = () => {
    const costs = read()
    for (const cost of costs.slice(known)) if (!isSharedProcess(cost.file)) onFile(cost)
    known = costs.length
  }
  const timer = setInterval(look, LOOK_MS)
  return {
    stop() {
      clearInterval(timer)
      look()
    },
  }
}
