import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

import { cacheDirectory, cachedProgram, findOnPath } from './cache.mjs'
import { canUseDebianPackages, installFromDebian } from './debian-packages.mjs'
import { longStep, SetUpError } from './messages.mjs'
import { runProgram } from './run-program.mjs'

const PROGRAMS = ['redis-server', 'valkey-server']
const BREW_DEADLINE_MS = 10 * 60_000

export const hasRedis = () =>
  Boolean(process.env.REDIS_URL || process.env.REDIS_URL_FILE) ||
  PROGRAMS.some((name) => findOnPath(name) ?? cachedProgram(name))

/** A Redis that is given or at hand is used; otherwise a `redis-server` is put into the cache. */
export async function provideRedis() {
  if (hasRedis()) return
  try {
    if (canUseDebianPackages()) await installFromApt()
    else if (findOnPath('brew')) await installWithBrew()
    else throw new SetUpError('neither apt nor Homebrew is here to get it with')
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    throw new SetUpError(
      `there is no Redis, and set-up could not provide one (${error.message}): install redis-server or valkey-server ` +
        'with your package manager, or install Homebrew (set-up then uses it), or set REDIS_URL to a Redis that runs.',
    )
  }
}

function installFromApt() {
  return longStep('fetching redis-server from the distribution into the cache', () =>
    installFromDebian({
      program: 'redis-server',
      // The server itself lies in redis-tools; redis-server adds the link with the right name.
      choices: [
        { packages: ['redis-server', 'redis-tools'], path: 'usr/bin/redis-server' },
        { packages: ['valkey-server', 'valkey-tools'], path: 'usr/bin/valkey-server' },
      ],
    }),
  )
}

async function installWithBrew() {
  const brew = findOnPath('brew') ?? 'brew'
  const env = { ...process.env, HOMEBREW_NO_INSTALL_CLEANUP: '1', HOMEBREW_NO_ENV_HINTS: '1' }
  await longStep('installing Redis (brew install redis)', async () => {
    const { code, output } = await runProgram(brew, ['install', 'redis'], { deadlineMs: BREW_DEADLINE_MS, env })
    if (code !== 0)
      throw new SetUpError(`brew install redis failed: ${output.trimEnd().split('\n').slice(-3).join(' ')}`)
  })
  if (findOnPath('redis-server')) return
  // Homebrew's own bin folder is not on everybody's PATH.
  const { stdout } = await runProgram(brew, ['--prefix', 'redis'], { deadlineMs: 30_000, env })
  const bin = join(cacheDirectory(), 'bin')
  mkdirSync(bin, { recursive: true })
  rmSync(join(bin, 'redis-server'), { force: true })
  symlinkSync(join(stdout.trim(), 'bin/redis-server'), join(bin, 'redis-server'))
}
