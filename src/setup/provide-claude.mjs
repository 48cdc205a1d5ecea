import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'

import { cacheDirectory, cachedProgram, CLAUDE_VERSION, findOnPath, OLDEST_CLAUDE_VERSION } from './cache.mjs'
import { askForLatest, claudeProgram, fetchClaude, withClaudeLock } from './fetch-claude.mjs'
import { say, SetUpError } from './messages.mjs'

/** What `latest` stands for is asked of npm so often when it is not asked for by a flag. */
const LATEST_LASTS_MS = 24 * 3_600_000

/** @typedef {{ requireClaude?: boolean, claude?: string, claudeRange?: boolean }} ClaudeOptions */

const findOther = () => process.env.CC_EXECUTOR_CLAUDE_BIN || findOnPath('claude')
/** @param {string | undefined} claude */
const toWord = (claude) => claude ?? (process.env.CC_EXECUTOR_CLAUDE_VERSION || readChosen() || CLAUDE_VERSION)

/** Without asking anybody. What was asked for by a flag is always looked at. @param {ClaudeOptions} [options] */
export function hasClaude({ claude, claudeRange = false } = {}) {
  if (claude !== undefined || claudeRange) return false
  return Boolean(findOther()) || isLinked(knownVersion(toWord(claude)))
}

/**
 * A Claude CLI that is given or on PATH is used; otherwise one is put into the cache: the pinned one, or which
 * `--claude`
 * chose last, or `CC_EXECUTOR_CLAUDE_VERSION`. It is no dependency of package.json, so that whoever has a CLI does not
 * download another; and without it the service still starts.
 *
 * @param {ClaudeOptions} [options] `claude`: `latest` or a
 * version,
 *   kept as the choice; `claudeRange`: both ends of what is supported have to be in the cache as well, for their tests
 */
export async function provideClaude({ requireClaude = false, claude, claudeRange = false } = {}) {
  if (claudeRange)
    await withClaudeLock(async () => [await fetchClaude(OLDEST_CLAUDE_VERSION), await fetchClaude(CLAUDE_VERSION)])
  const other = findOther()
  if (claude === undefined && other) return
  const word = toWord(claude)
  requireVersion(word)
  if (claude === undefined && isLinked(knownVersion(word))) return
  try {
    await withClaudeLock(async () => {
      const version = await resolveVersion(word, claude !== undefined)
      await fetchClaude(version)
      if (!isLinked(version)) link(version)
    })
    if (claude !== undefined) choose(claude)
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    if (requireClaude || claude !== undefined)
      throw new SetUpError(`the Claude CLI could not be fetched: ${error.message}`)
    const meanwhile = cachedProgram('claude')
      ? `the one fetched earlier is used instead of ${word}`
      : 'the service starts, but executions fail with CLAUDE_NOT_FOUND'
    say(
      `warning: the Claude CLI could not be fetched (${error.message}); ${meanwhile} until you install it ` +
        '(npm install -g @anthropic-ai/claude-code), set CC_EXECUTOR_CLAUDE_BIN, or run `npm run setup` again.',
    )
    return
  }
  if (claude === undefined) return
  const path = realpathSync(join(cacheDirectory(), 'bin/claude'))
  say(
    other
      ? `${path} is there, but ${other} comes before it: set CC_EXECUTOR_CLAUDE_BIN=${path} to use it.`
      : `${path} is used from the next start on.`,
  )
}

/** @param {string} word */
function requireVersion(word) {
  if (word === 'latest') return
  if (!/^\d+\.\d+\.\d+$/.test(word))
    throw new SetUpError(
      `"${word}" is not a version of the Claude CLI: write latest, or a number such as ${CLAUDE_VERSION}.`,
    )
  if (word.localeCompare(OLDEST_CLAUDE_VERSION, 'en', { numeric: true }) < 0) {
    throw new SetUpError(`the Claude CLI ${word} is older than ${OLDEST_CLAUDE_VERSION}, the oldest that is supported.`)
  }
}

const inPackages = (/** @type {string} */ name) => join(cacheDirectory(), 'packages', name)
const chosenFile = () => inPackages('claude.chosen')
const latestFile = () => inPackages('claude.latest')

/** What `--claude` said last. */
function readChosen() {
  return existsSync(chosenFile()) ? readFileSync(chosenFile(), 'utf8').trim() : undefined
}

/** The pinned one is no choice: it moves on with this checkout. @param {string} word */
function choose(word) {
  if (word === CLAUDE_VERSION) rmSync(chosenFile(), { force: true })
  else writeFileSync(chosenFile(), `${word}\n`)
}

/** Without asking anybody. @param {string} word */
function knownVersion(word) {
  if (word !== 'latest') return word
  const isFresh = existsSync(latestFile()) && Date.now() - statSync(latestFile()).mtimeMs < LATEST_LASTS_MS
  return isFresh ? readFileSync(latestFile(), 'utf8').trim() : undefined
}

/**
 * @param {string} word
 * @param {boolean} ask although the answer is known
 */
async function resolveVersion(word, ask) {
  const known = ask && word === 'latest' ? undefined : knownVersion(word)
  if (known !== undefined) return known
  const version = await askForLatest()
  writeFileSync(latestFile(), `${version}\n`)
  return version
}

/** @param {string | undefined} version */
function isLinked(version) {
  const path = cachedProgram('claude')
  return path !== undefined && version !== undefined && realpathSync(path).endsWith(`/claude-${version}/claude`)
}

/** @param {string} version */
function link(version) {
  const bin = join(cacheDirectory(), 'bin')
  mkdirSync(bin, { recursive: true })
  const candidate = join(bin, `.claude-${process.pid}`)
  symlinkSync(relative(bin, claudeProgram(version)), candidate)
  renameSync(candidate, join(bin, 'claude'))
}
