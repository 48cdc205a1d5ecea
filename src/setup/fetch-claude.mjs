import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { cacheDirectory } from './cache.mjs'
import { withLock } from './lock.mjs'
import { longStep, SetUpError } from './messages.mjs'
import { runNpm } from './npm.mjs'
import { runProgram } from './run-program.mjs'

/** Of the newest; older ones are smaller. */
const SIZE = 'about 400 MB'
const DEADLINE_MS = 20 * 60_000
const ASK_DEADLINE_MS = 60_000

/** Where a version lies in the cache, once it is there. @param {string} version */
export const claudeProgram = (version) => join(cacheDirectory(), 'packages', `claude-${version}`, 'claude')

/** The lock of everything that is done to Claude in the cache. @template T @param {() => Promise<T>} work */
export const withClaudeLock = (work) => withLock(join(cacheDirectory(), 'packages/claude.lock'), work)

/** Fetches a version from npm unless it is there; the caller holds the lock. @param {string} version */
export async function fetchClaude(version) {
  if (existsSync(claudeProgram(version))) return
  const packages = join(cacheDirectory(), 'packages')
  // Whatever a set-up that was killed left behind: we hold the lock, so it is nobody's.
  for (const name of readdirSync(packages)) {
    if (name.startsWith('.fetch-claude-')) rmSync(join(packages, name), { recursive: true, force: true })
  }
  const packageName = claudePackage()
  const folder = join(packages, `.fetch-claude-${process.pid}`)
  mkdirSync(folder)
  try {
    await longStep(
      `fetching the Claude CLI ${version} (${SIZE})`,
      async () => {
        // The platform's package is the bare program: no install script, no engines. npm checks its integrity.
        const args = ['install', `${packageName}@${version}`, '--prefix', folder, '--no-save', '--no-package-lock']
        await runNpm([...args, '--ignore-scripts', '--no-global', '--prefer-offline'], {
          cwd: folder,
          deadlineMs: DEADLINE_MS,
        })
        await place(join(folder, 'node_modules', packageName), version, folder)
      },
      () => `${megabytesBelow(folder)} of ${SIZE}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The newest version on npm. */
export async function askForLatest() {
  const said = await runNpm(['view', `${claudePackage()}@latest`, 'version'], {
    cwd: cacheDirectory(),
    deadlineMs: ASK_DEADLINE_MS,
  })
  const version = /^\s*(\d+\.\d+\.\d+)\s*$/m.exec(said)?.[1]
  if (version === undefined) throw new SetUpError('npm does not tell which Claude CLI is the latest')
  return version
}

/**
 * It appears where it belongs only after it ran once.
 *
 * @param {string} fetched
 * @param {string} version
 * @param {string} home a throw-away one, so that the CLI leaves nothing in the user's
 */
async function place(fetched, version, home) {
  const { code, output } = await runProgram(join(fetched, 'claude'), ['--version'], {
    env: { ...process.env, HOME: home },
    deadlineMs: 30_000,
  })
  if (code !== 0 || !output.includes(version)) {
    throw new SetUpError(`what was fetched does not run here: ${output.trim().split('\n').at(-1) ?? ''}`)
  }
  const folder = join(cacheDirectory(), 'packages', `claude-${version}`)
  rmSync(folder, { recursive: true, force: true })
  renameSync(fetched, folder)
}

function claudePackage() {
  const { platform, arch } = process
  if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) {
    throw new SetUpError(`there is no Claude CLI for ${platform} on ${arch}`)
  }
  // Node names the C library it was built with; only glibc has a version here.
  /** @type {{ header?: { glibcVersionRuntime?: string } }} */
  const { header } = process.report.getReport()
  const musl = platform === 'linux' && header?.glibcVersionRuntime === undefined
  return `@anthropic-ai/claude-code-${platform}-${arch}${musl ? '-musl' : ''}`
}

/** @param {string} folder */
function megabytesBelow(folder) {
  let bytes = 0
  for (const entry of listQuietly(folder)) {
    if (!entry.isFile()) continue
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).size
    } catch {
      // npm has just moved it.
    }
  }
  return Math.round(bytes / 1e6)
}

/** @param {string} folder */
function listQuietly(folder) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
  } catch {
    return []
  }
}
