import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { cacheDirectory, cachedProgram, findOnPath } from './cache.mjs'
import { canUseDebianPackages, installFromDebian } from './debian-packages.mjs'
import { longStep, say, SetUpError } from './messages.mjs'

const PROGRAMS = [
  // A library path meant for bwrap is not meant for what it contains.
  { program: 'bwrap', packageName: 'bubblewrap', firstArguments: ['--unsetenv', 'LD_LIBRARY_PATH'] },
  { program: 'tini', packageName: 'tini', firstArguments: [] },
]
const TRY_AGAIN_MS = 24 * 3600_000

const findMissing = () => PROGRAMS.filter(({ program }) => !findOnPath(program) && !cachedProgram(program))

/** Or cannot have it, as far as is known today. */
export const hasContainment = () => process.platform !== 'linux' || findMissing().length === 0 || triedLately()

/**
 * What keeps a run in bounds, where it can be had (Linux); the service says at its start what it has and goes without.
 */
export async function provideContainment() {
  if (hasContainment()) return
  const missing = findMissing()
  const names = missing.map(({ packageName }) => packageName).join(' and ')
  try {
    if (!canUseDebianPackages()) throw new SetUpError('this is not Debian or Ubuntu')
    const fetch = async () => {
      for (const { program, packageName, firstArguments } of missing) {
        const choices = [{ packages: [packageName], path: `usr/bin/${program}` }]
        await installFromDebian({ program, choices, firstArguments })
      }
    }
    await longStep(`fetching ${names} from the distribution into the cache`, fetch)
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    rememberAttempt()
    say(
      `runs will be less contained without ${names}, which could not be fetched (${error.message}); ` +
        'install them with your package manager.',
    )
  }
}

// Going without is a lasting state on many systems: it is tried and told once a day, not at every start.
const attemptFile = () => join(cacheDirectory(), 'packages/containment-attempt')

function triedLately() {
  try {
    return Date.now() - statSync(attemptFile()).mtimeMs < TRY_AGAIN_MS
  } catch {
    return false
  }
}

function rememberAttempt() {
  try {
    mkdirSync(dirname(attemptFile()), { recursive: true })
    writeFileSync(attemptFile(), '')
  } catch {
    // Then it is tried again at the next start.
  }
}
