import { access, constants, mkdtemp, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findCredentials, listLoginFiles } from '../../claude/install/credentials.js'
import type { Config } from '../../platform/config.js'
import { makeFolder } from '../../platform/make-folder.js'
import { describeAllowedRoot, listLeadingFiles, type OwnSettings } from '../../platform/own-places.js'
import { describeRunWritable } from '../../platform/run-writable.js'
import { openTokens } from '../../platform/tokens.js'
import { listEntries } from './check-credentials.js'
import { describeError, fail, ok, warn, type Verdict } from './finding.js'

const MIB = 1024 * 1024
/** Below it a single execution can fill the disk: its stored events alone may take 64 MiB, its workspace anything. */
const MINIMUM_FREE_BYTES = 512 * MIB
const COMFORTABLE_FREE_BYTES = 4096 * MIB

/** A folder of the service's own: made where it is missing, as the first start would. */
export async function checkOwnFolder(path: string, variable: string): Promise<Verdict> {
  try {
    await makeFolder(path, 0o700)
    await rm(await mkdtemp(join(path, 'probe-')), { recursive: true })
    return ok(path)
  } catch (error) {
    return fail(
      `${path} cannot be written (${describeError(error)})`,
      `make it writable for this user, or set ${variable} to another folder`,
    )
  }
}

/** undefined: there is no such folder, which is told elsewhere. */
export async function checkDisk(path: string): Promise<Verdict | undefined> {
  const space = await statfs(path).catch(() => undefined)
  if (space === undefined) return undefined
  const free = Math.floor((space.bavail * space.bsize) / MIB)
  const remedy = 'free space there, or set CC_EXECUTOR_DATA_DIR to a folder on another disk'
  if (space.files > 0 && space.ffree === 0) return fail(`the disk of ${path} has no free inodes`, remedy)
  if (free < MINIMUM_FREE_BYTES / MIB) return fail(`${free} MiB are free on the disk of ${path}`, remedy)
  return free < COMFORTABLE_FREE_BYTES / MIB
    ? warn(`${free} MiB are free on the disk of ${path}`, remedy)
    : ok(`${free} MiB are free`)
}

/** Everything that was started needs it, the CLI's own start included. */
export async function checkTemporaryFolder(path = tmpdir()): Promise<Verdict> {
  try {
    await rm(await mkdtemp(join(path, 'cc-executor-')), { recursive: true })
    return ok(path)
  } catch (error) {
    return fail(`${path} cannot be written (${describeError(error)})`, 'make it writable (chmod 1777), or set TMPDIR')
  }
}

/** The operator's own folder: never made here. */
export async function checkAllowedRoot(path: string, settings?: OwnSettings): Promise<Verdict> {
  try {
    const trouble = settings && describeAllowedRoot(path, settings)
    if (trouble !== undefined) return fail(trouble, 'correct CC_EXECUTOR_ALLOWED_ROOTS (or --root)')
    if (!(await stat(path)).isDirectory())
      return fail(`${path} is not a folder`, 'correct CC_EXECUTOR_ALLOWED_ROOTS (or --root)')
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok(path)
  } catch (error) {
    const code = describeError(error)
    return code === 'ENOENT'
      ? fail(`${path} does not exist`, 'create it, or correct CC_EXECUTOR_ALLOWED_ROOTS (or --root)')
      : fail(
          `${path} cannot be written by this user (${code})`,
          'make it writable, or correct CC_EXECUTOR_ALLOWED_ROOTS (or --root)',
        )
  }
}

/** The operator's logins that runs may use. A file that cannot be read is told elsewhere. */
function listLogins(config: Config): Array<{ path: string; setting: string }> {
  const { environment, credentialsFile, simulatorUrl } = config
  if (credentialsFile === undefined)
    return listLoginFiles(findCredentials(environment, { simulated: simulatorUrl !== undefined }))
  try {
    const setting = 'CC_EXECUTOR_CREDENTIALS_FILE'
    return listEntries(config).flatMap(({ folder }) =>
      listLoginFiles({ configDir: folder }).map(({ path }) => ({ path, setting })),
    )
  } catch {
    return []
  }
}

/** undefined: no run writes where the service takes its secrets and its hooks from. */
export function checkOpenings(config: Config): Verdict | undefined {
  const trouble = describeRunWritable([...listLeadingFiles(config), ...listLogins(config)], config)
  return trouble === undefined ? undefined : fail(trouble, 'correct it: the service does not start with this value')
}

/** Looks at the tokens without making any. */
export async function checkToken(config: Config): Promise<Verdict> {
  if (config.auth === 'open')
    return warn(
      'none is required (CC_EXECUTOR_AUTH=open): every user and program of this machine can call the API',
      'unset CC_EXECUTOR_AUTH, unless clients of the original need it',
    )
  const { tokenFile } = config
  const file = await stat(tokenFile).catch((error: unknown) => describeError(error))
  if (file === 'ENOENT' && config.tokens === undefined) return ok(`created at the first start, in ${tokenFile}`)
  if (typeof file === 'string' && file !== 'ENOENT')
    return fail(
      `${tokenFile} cannot be examined (${file})`,
      'make it readable for this user, or set CC_EXECUTOR_TOKEN_FILE',
    )
  try {
    await openTokens(config)
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), 'correct it as the message says')
  }
  if (typeof file !== 'string' && (file.mode & 0o077) !== 0)
    return warn(
      `${tokenFile} can be read by other users (mode ${(file.mode & 0o777).toString(8)})`,
      `chmod 600 ${tokenFile}`,
    )
  return ok(typeof file === 'string' ? 'in CC_EXECUTOR_TOKENS' : `in ${tokenFile}`)
}
