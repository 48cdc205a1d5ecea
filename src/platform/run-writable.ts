import { lstatSync, readlinkSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { ConfigError, type Config } from './config.js'
import { findPlace, isWithin, placesMountedBelow, readMounts, type Place } from './folder-identity.js'

/** A file whose content decides what the service does, or who may call it. */
export interface TrustedFile {
  /** An absolute path. */
  readonly path: string
  /** The setting that leads to it. */
  readonly setting: string
  /** Where the setting does not name it by itself: what it is. */
  readonly what?: string
}

type Settings = Pick<Config, 'dataDir' | 'workspaceRoot' | 'allowedRoots' | 'sandbox'>
type Mounts = ReturnType<typeof readMounts>
/** As many links as the kernel follows. */
const LINKS = 40

/** Every place at which somebody could put another file under this name: that of each link on the way, and its own. */
function placesOnTheWay(path: string, mounts: Mounts, links = LINKS): Place[] {
  const parts = resolve(path).split(sep).slice(1)
  for (const [index] of parts.entries()) {
    const at = sep + parts.slice(0, index + 1).join(sep)
    // What is not there, or may not be looked at, is no link for us.
    if (links === 0 || !isLink(at)) continue
    const target = resolve(dirname(at), readlinkSync(at), ...parts.slice(index + 1))
    return [join(findPlace(dirname(at), mounts), basename(at)), ...placesOnTheWay(target, mounts, links - 1)]
  }
  return [findPlace(path, mounts)]
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink()
  } catch {
    return false
  }
}

/**
 * What is wrong with files that a run could write, or put others in the place of: one sentence, which names both
 * settings; undefined where nothing is. What lies in the data folder is hidden from runs with all of it, also where an
 * opening shows the folder around it.
 */
export function describeRunWritable(files: readonly TrustedFile[], settings: Settings): string | undefined {
  const { sandbox, allowedRoots, workspaceRoot, dataDir } = settings
  const mounts = readMounts()
  const dataPlace = findPlace(dataDir, mounts)
  const opened = [
    ...sandbox.writable.map((path) => ({ path, setting: 'CC_EXECUTOR_SANDBOX_WRITE' })),
    ...allowedRoots.map((path) => ({ path, setting: 'CC_EXECUTOR_ALLOWED_ROOTS' })),
    { path: workspaceRoot, setting: 'CC_EXECUTOR_WORKSPACE_ROOT' },
  ].map((folder) => ({
    ...folder,
    places: [findPlace(folder.path, mounts), ...placesMountedBelow(folder.path, mounts)],
  }))
  for (const { path, setting, what } of files) {
    const ways = placesOnTheWay(path, mounts)
    const found = opened.find(({ places }) =>
      places.some((place) =>
        ways.some((way) => isWithin(way, place) && !(isWithin(way, dataPlace) && isWithin(dataPlace, place))),
      ),
    )
    if (found)
      return (
        `${setting}: ${what === undefined ? '' : `${what}, `}${path} is where runs may write: in ` +
        `${found.path} (${found.setting}); move it, or set ${found.setting} to another folder`
      )
  }
  return undefined
}

/** @throws ConfigError with the sentence of describeRunWritable */
export function requireNotRunWritable(files: readonly TrustedFile[], settings: Settings): void {
  const trouble = describeRunWritable(files, settings)
  if (trouble !== undefined) throw new ConfigError(`${trouble}.`)
}
