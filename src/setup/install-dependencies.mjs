import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { checkoutDirectory } from './cache.mjs'
import { withLock } from './lock.mjs'
import { longStep } from './messages.mjs'
import { runNpm } from './npm.mjs'

const DEADLINE_MS = 10 * 60_000

/** `npm ci` unless node_modules holds what the lock file says. @param {{ directory?: string }} [options] */
export async function installDependencies({ directory = checkoutDirectory } = {}) {
  if (isInstalled(directory)) return
  await withLock(join(directory, '.cache/dependencies.lock'), async () => {
    if (isInstalled(directory)) return
    // NODE_ENV=production must not leave out what builds and tests.
    const install = () =>
      runNpm(['ci', '--include=dev', '--include=optional'], { cwd: directory, deadlineMs: DEADLINE_MS })
    await longStep('installing dependencies (npm ci)', install)
  })
}

/**
 * Compares the lock file with the one that npm leaves in node_modules when it has finished: that is true whoever
 * installed, which a stamp of our own would not be, and an install which was cut off has none.
 *
 * @param {string} directory
 */
export function isInstalled(directory) {
  const wanted = readPackages(join(directory, 'package-lock.json'))
  const present = readPackages(join(directory, 'node_modules/.package-lock.json'))
  if (wanted === undefined || present === undefined) return false
  const { '': _root, ...packages } = wanted
  const complete = Object.entries(packages).every(([path, { version, integrity, optional }]) => {
    const found = present[path]
    // npm leaves out optional packages of other platforms, and those it could not build.
    if (found === undefined) return optional === true
    return found.version === version && found.integrity === integrity
  })
  return complete && Object.values(present).every(suitsThisMachine)
}

/**
 * An entry of npm's lock file.
 * @typedef {object} Locked
 * @property {string} version
 * @property {string} [integrity]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 */

/**
 * @param {string} file
 * @returns {Record<string, Locked> | undefined}
 */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * A folder that came from another machine (a bind mount, a copy) holds binaries which do not run here.
 *
 * @param {Locked} entry
 */
function suitsThisMachine({ os, cpu }) {
  return allows(os, process.platform) && allows(cpu, process.arch)
}

/**
 * npm's lists name what is allowed, or with "!" what is not.
 *
 * @param {string[] | undefined} list
 * @param {string} ours
 */
function allows(list, ours) {
  if (list === undefined || list.includes(ours)) return true
  return list.every((name) => name.startsWith('!')) && !list.includes(`!${ours}`)
}
