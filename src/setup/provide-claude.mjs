import { mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'

import { cacheDirectory, cachedProgram, CLAUDE_VERSION, findOnPath } from './cache.mjs'
import { withLock } from './lock.mjs'
import { longStep, say, SetUpError } from './messages.mjs'
import { runNpm } from './npm.mjs'
import { runProgram } from './run-program.mjs'

const SIZE = 'about 240 MB'
const DEADLINE_MS = 20 * 60_000

/**
 * A Claude CLI that is given or on PATH is used; otherwise the pinned one is put into the cache. It is no dependency of
 * package.json, so that whoever has a CLI does not download another; and without it the service still starts.
 */
export async function provideClaude({ requireClaude = false } = {}) {
  if (process.env.CC_EXECUTOR_CLAUDE_BIN || findOnPath('claude') || pinnedIsCached()) return
  try {
    await withLock(join(cacheDirectory(), 'packages/claude.lock'), async () => {
      if (!pinnedIsCached()) await fetchPinned()
    })
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    if (requireClaude) throw new SetUpError(`the Claude CLI could not be fetched: ${error.message}`)
    const meanwhile = cachedProgram('claude')
      ? `the one fetched earlier is used instead of ${CLAUDE_VERSION}`
      : 'the service starts, but executions fail with CLAUDE_NOT_FOUND'
    say(
      `warning: the Claude CLI could not be fetched (${error.message}); ${meanwhile} until you install it ` +
        '(npm install -g @anthropic-ai/claude-code), set CC_EXECUTOR_CLAUDE_BIN, or run `npm run setup` again.',
    )
  }
}

const pinnedTarget = () => join(cacheDirectory(), 'packages', `claude-${CLAUDE_VERSION}`, 'claude')

function pinnedIsCached() {
  const link = cachedProgram('claude')
  return link !== undefined && realpathSync(link).endsWith(`/claude-${CLAUDE_VERSION}/claude`)
}

async function fetchPinned() {
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
      `fetching the Claude CLI ${CLAUDE_VERSION} (${SIZE})`,
      async () => {
        // The platform's package is the bare program: no install script, no engines. npm checks its integrity.
        const args = ['install', `${packageName}@${CLAUDE_VERSION}`, '--prefix', folder, '--no-save', '--no-package-lock']
        await runNpm([...args, '--ignore-scripts', '--no-global', '--prefer-offline'], { cwd: folder, deadlineMs: DEADLINE_MS })
        await install(join(folder, 'node_modules', packageName), folder)
      },
      () => `${megabytesBelow(folder)} of ${SIZE}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} fetched
 * @param {string} home a throw-away one, so that the CLI leaves nothing in the user's
 */
async function install(fetched, home) {
  const { code, output } = await runProgram(join(fetched, 'claude'), ['--version'], {
    env: { ...process.env, HOME: home },
    deadlineMs: 30_000,
  })
  if (code !== 0 || !output.includes(CLAUDE_VERSION)) {
    throw new SetUpError(`what was fetched does not run here: ${output.trim().split('\n').at(-1) ?? ''}`)
  }
  const place = join(cacheDirectory(), 'packages', `claude-${CLAUDE_VERSION}`)
  rmSync(place, { recursive: true, force: true })
  renameSync(fetched, place)
  const bin = join(cacheDirectory(), 'bin')
  mkdirSync(bin, { recursive: true })
  const candidate = join(bin, `.claude-${process.pid}`)
  symlinkSync(relative(bin, pinnedTarget()), candidate)
  renameSync(candidate, join(bin, 'claude'))
}

function claudePackage() {
  const { platform, arch } = process
  if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) {
    throw new SetUpError(`there is no Claude CLI for ${platform} on ${arch}`)
  }
  // Node names the C library it was built with; only glibc has a version here.
  const musl = platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined
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
