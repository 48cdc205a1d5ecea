import { dirname, isAbsolute, join, resolve } from 'node:path'
import { ConfigError, type Config } from './config.js'
import { findPlace, isWithin, placesMountedBelow, readMounts, type Place } from './folder-identity.js'
import { socketOf } from './redis-url.js'
import type { SecretFile } from './secret-files.js'

export type OwnSettings = Pick<
  Config,
  | 'dataDir'
  | 'workspaceRoot'
  | 'allowedRoots'
  | 'tokenFile'
  | 'hooksFile'
  | 'redisUrl'
  | 'redisAccess'
  | 'secretFiles'
  | 'cacheBin'
> & {
  /** Beside the operator's roots, for one token: these very folders, and no link that has come in their place. */
  readonly admittedFolders?: readonly string[]
}

/** A folder or file of the service's own, beside the workspace root. */
export interface OwnFolder {
  readonly path: string
  /** The setting that puts it there. */
  readonly setting: string
  /** The workspace root may lie in it. */
  readonly holdsWorkspaces: boolean
}

interface LocatedFolder extends OwnFolder {
  readonly place: Place
}

/** Files that make a program the service, or decide what it does, by the settings that name them. */
export function listLeadingFiles({
  tokenFile,
  hooksFile,
  redisAccess: { passwordFile, ca, cert, key },
  secretFiles,
}: Omit<OwnSettings, 'workspaceRoot'>): SecretFile[] {
  const named: readonly (readonly [string, string | undefined])[] = [
    ['CC_EXECUTOR_TOKEN_FILE', tokenFile],
    ['CC_EXECUTOR_HOOKS', hooksFile],
    ['CC_EXECUTOR_REDIS_PASSWORD_FILE', passwordFile],
    ['CC_EXECUTOR_REDIS_CA', ca],
    ['CC_EXECUTOR_REDIS_CERT', cert],
    ['CC_EXECUTOR_REDIS_KEY', key],
  ]
  return [
    ...named.flatMap(([setting, path]) => (path === undefined ? [] : [{ path: resolve(path), setting }])),
    ...secretFiles,
  ]
}

/** Wherever settings have moved them; what lies in the data folder is named as well, as the workspace root may, too. */
function listOwnFolders(settings: OwnSettings): OwnFolder[] {
  const { dataDir, cacheBin, redisUrl } = settings
  const socket = socketOf(redisUrl)
  return [
    { path: dataDir, setting: 'CC_EXECUTOR_DATA_DIR' },
    ...['sessions', 'tmp', 'redis', 'services', 'receipt-keys'].map((name) => ({
      path: join(dataDir, name),
      setting: 'CC_EXECUTOR_DATA_DIR',
    })),
    { path: dirname(cacheBin), setting: 'CC_EXECUTOR_CACHE_DIR' },
    ...listLeadingFiles(settings),
    // In an opening it is hidden; whoever listens there is another service, which says itself who may speak to it.
    ...(socket === undefined ? [] : [{ path: resolve(socket), setting: 'REDIS_URL' }]),
  ].map(({ path, setting }) => ({
    path: resolve(path),
    setting,
    holdsWorkspaces: isWithin(resolve(dataDir), resolve(path)),
  }))
}

/**
 * Which of the service's own a folder equals, contains or lies in. Only the workspace root, and what lies in it, may
 * lie in a folder that holds it.
 */
function findOverlap(place: Place, own: readonly LocatedFolder[], workspaceRoot: Place): LocatedFolder | undefined {
  const isOfWorkspaces = isWithin(place, workspaceRoot)
  return own.find(
    (one) => isWithin(one.place, place) || (isWithin(place, one.place) && !(isOfWorkspaces && one.holdsWorkspaces)),
  )
}

/** By names alone: a host that takes submissions need not have the folders. */
export const findOwnByName = (path: string, settings: OwnSettings): OwnFolder | undefined =>
  findOverlap(
    path,
    listOwnFolders(settings).map((own) => ({ ...own, place: own.path })),
    resolve(settings.workspaceRoot),
  )

const locate = (
  settings: OwnSettings,
  mounts: ReturnType<typeof readMounts>,
): { own: LocatedFolder[]; workspaceRoot: Place } => ({
  own: listOwnFolders(settings).map((own) => ({ ...own, place: findPlace(own.path, mounts) })),
  workspaceRoot: findPlace(settings.workspaceRoot, mounts),
})

/**
 * What of the service's own a workspace shows, links and mounts resolved: the setting that puts it there. A workspace
 * that is named absolutely has no part of the workspace root either: those in it have owners, and are named by it.
 * @param place of the workspace, opened
 */
export function findOwnByPlace(
  { place, path, isAbsolutelyNamed }: { place: Place; path: string; isAbsolutelyNamed: boolean },
  settings: OwnSettings,
): string | undefined {
  const mounts = readMounts()
  const { own, workspaceRoot } = locate(settings, mounts)
  const mounted = placesMountedBelow(path, mounts)
  const found =
    findOverlap(place, own, workspaceRoot) ??
    // What is mounted within a workspace is no part of the workspace root, whatever it is.
    mounted.map((below) => own.find((one) => isWithin(one.place, below) || isWithin(below, one.place))).find(Boolean)
  if (found) return found.setting
  const overlapsRoot = (other: Place): boolean => isWithin(other, workspaceRoot) || isWithin(workspaceRoot, other)
  return isAbsolutelyNamed && [place, ...mounted].some(overlapsRoot) ? 'CC_EXECUTOR_WORKSPACE_ROOT' : undefined
}

const describe = (path: string, own: OwnFolder, remedy: string): string =>
  path === own.path
    ? `${path} belongs to the service (${own.setting}); ${remedy}`
    : `${path} contains or is inside ${own.path}, which belongs to the service (${own.setting}); ${remedy}`

/** What is wrong with a folder in which workspaces may be named absolutely; undefined where nothing is. */
export function describeAllowedRoot(root: string, settings: OwnSettings): string | undefined {
  if (!isAbsolute(root)) return undefined
  const mounts = readMounts()
  const { own, workspaceRoot } = locate(settings, mounts)
  const found = findOverlap(findPlace(root, mounts), own, workspaceRoot)
  return found && describe(root, found, `choose a folder next to it, or set ${found.setting} to another place`)
}

/**
 * No folder in which runs work shows what the service lives by: neither the workspace root nor an allowed root.
 * @throws ConfigError naming the setting
 */
export function requireOwnFolders(settings: OwnSettings): void {
  for (const root of settings.allowedRoots) {
    const trouble = describeAllowedRoot(root, settings)
    if (trouble !== undefined) throw new ConfigError(`CC_EXECUTOR_ALLOWED_ROOTS (--root): ${trouble}.`)
  }
  const { own, workspaceRoot } = locate(settings, readMounts())
  const found = findOverlap(workspaceRoot, own, workspaceRoot)
  if (found)
    throw new ConfigError(
      `CC_EXECUTOR_WORKSPACE_ROOT: ${describe(settings.workspaceRoot, found, 'set one of them to another place')}.`,
    )
}
