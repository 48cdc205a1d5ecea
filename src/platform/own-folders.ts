import { accessSync, constants, existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the service keeps its data unless it is told. */
export function defaultDataDir(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_DATA_HOME'] || join(environment['HOME'] || homedir(), '.local', 'share'), 'cc-executor')
}

/** Whether a folder below `home` could be made or written; a home that does not exist is never made. */
function canWriteBelow(home: string, path: string): boolean {
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

/** The checkout, seen from dist/src/platform and from src/platform alike. */
export const checkoutDirectory = (): string =>
  fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../..' : '../..', import.meta.url))

/** The same rule as in src/setup/cache.mjs, which fills the folder and may import nothing. */
export function cacheDirectory({
  CC_EXECUTOR_CACHE_DIR: own,
  XDG_CACHE_HOME: xdg,
  HOME: home,
}: NodeJS.ProcessEnv): string {
  if (own) return resolve(own)
  if (xdg && isAbsolute(xdg)) return join(xdg, 'cc-executor')
  if (home && canWriteBelow(home, '.cache/cc-executor')) return join(home, '.cache/cc-executor')
  return join(checkoutDirectory(), '.cache')
}
