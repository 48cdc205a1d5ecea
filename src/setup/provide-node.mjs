import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { checkoutDirectory } from './cache.mjs'
import { longStep } from './messages.mjs'
import { runNpm } from './npm.mjs'

const SIZE = 'about 200 MB'
const DEADLINE_MS = 10 * 60_000

/**
 * A Node.js of this version, kept in the checkout for its tests. The npm package `node` only runs a script that
 * installs
 * one package of the platform, which holds the bare program: that one is installed here, without any script.
 *
 * @param {string} version such as 22.23.5
 * @returns {Promise<string>} the folder of its `node`
 */
export async function provideNode(version) {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(checkoutDirectory, '.cache', `node-${version}`)
  const bin = join(folder, 'node_modules', name, 'bin')
  if (existsSync(join(bin, 'node'))) return bin
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  try {
    await longStep(`fetching Node.js ${version} (${SIZE})`, async () => {
      await runNpm(
        [
          'install',
          `${name}@${version}`,
          '--prefix',
          draft,
          '--no-save',
          '--no-package-lock',
          '--ignore-scripts',
          '--no-global',
          '--prefer-offline',
        ],
        { cwd: draft, deadlineMs: DEADLINE_MS },
      )
    })
    rmSync(folder, { recursive: true, force: true })
    renameSync(draft, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return bin
}
