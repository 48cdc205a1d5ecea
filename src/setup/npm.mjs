import { join } from 'node:path'

import { cacheDirectory, canWriteBelow, findOnPath } from './cache.mjs'
import { SetUpError, speaksOfNoNetwork, withoutHosts } from './messages.mjs'
import { runProgram } from './run-program.mjs'

/**
 * Runs npm quietly; its output is part of the error when it fails, and never shown when it does not.
 *
 * @param {string[]} args
 * @param {{ cwd: string, deadlineMs: number }} options
 * @returns {Promise<string>} what it said
 */
export async function runNpm(args, { cwd, deadlineMs }) {
  // Under `npm start` this is the npm that the user called, which need not be the first on PATH.
  const running = /npm-cli\.c?js$/.test(process.env.npm_execpath ?? '') ? process.env.npm_execpath : undefined
  const npm = findOnPath('npm')
  if (running === undefined && npm === undefined) throw new SetUpError('npm is not on the PATH; it comes with Node.js.')
  // npm's own retries would keep somebody without a network waiting for minutes.
  const retries = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000']
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--no-progress', '--loglevel=error']
  const [command, first] = running === undefined ? [String(npm), []] : [process.execPath, [running]]
  const { code, expired, output } = await runProgram(command, [...first, ...args, ...quiet, ...retries], {
    cwd,
    deadlineMs,
    env: npmEnvironment(),
  })
  if (code === 0) return output
  if (expired) throw new SetUpError(`npm did not finish within ${Math.round(deadlineMs / 60_000)} minutes`)
  if (speaksOfNoNetwork(output))
    throw new SetUpError('the npm registry cannot be reached, and the first set-up needs the network')
  throw new SetUpError(`npm ${args[0]} failed:\n${withoutNoise(output)}`)
}

// npm wants a writable cache; where the user's home cannot give one, ours does.
function npmEnvironment() {
  const { HOME, npm_config_cache: chosen } = process.env
  const writable = chosen ? canWriteBelow('/', chosen) : HOME !== undefined && canWriteBelow(HOME, '.npm')
  return writable ? process.env : { ...process.env, npm_config_cache: join(cacheDirectory(), 'npm') }
}

/**
 * npm says first what is wrong; its usage and advice follow.
 *
 * @param {string} output
 */
function withoutNoise(output) {
  const lines = output
    .split('\n')
    .filter((line) => !/^npm warn|A complete log of this run|^(npm error)?\s*$/.test(line))
  return withoutHosts(lines.slice(0, 15).join('\n'))
}
