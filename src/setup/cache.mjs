import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What set-up fetches: the newest Claude CLI on which the tests pass. */
export const CLAUDE_VERSION = '2.1.332'
/**
 * The oldest that is supported, and tested by `npm run test:all` (src/claude/supported-versions.ts says the same to the
 * service).
 */
export const OLDEST_CLAUDE_VERSION = '2.1.197'

/** The root of this checkout. */
export const checkoutDirectory = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** This is no checkout but what npm has installed: with its dependencies, and built. */
export const isPackage = !existsSync(join(checkoutDirectory, 'tsconfig.json'))

/**
 * Where set-up keeps the programs that it fetched: `bin/{redis-server,claude,bwrap,tini}`, links and wrappers to what
 * lies under `packages/`. Nothing is created here; src/platform reads the same folder by the same rule.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string} an absolute path
 */
export function cacheDirectory(env = process.env) {
  if (env.CC_EXECUTOR_CACHE_DIR) return resolve(env.CC_EXECUTOR_CACHE_DIR)
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'cc-executor')
  if (env.HOME && canWriteBelow(env.HOME, '.cache/cc-executor')) return join(env.HOME, '.cache/cc-executor')
  return join(checkoutDirectory, '.cache')
}

/**
 * Whether `home/path` can be created or written; asked of its nearest existing parent within home, without touching it.
 * A home that does not exist (nobody's /nonexistent) is never made, not even by root.
 *
 * @param {string} home
 * @param {string} path
 */
export function canWriteBelow(home, path) {
  if (!isAbsolute(home) || !existsSync(home)) return false
  let nearest = join(home, path)
  while (!existsSync(nearest)) nearest = dirname(nearest)
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The path of a program in the cache, if it is there and its link is not dangling.
 *
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cachedProgram(name, env = process.env) {
  const path = join(cacheDirectory(env), 'bin', name)
  return isExecutable(path) ? path : undefined
}

/**
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 */
export function findOnPath(name, env = process.env) {
  return (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
