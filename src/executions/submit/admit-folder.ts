import {
  addAdmitted,
  admissionId,
  listAdmitted,
  withdrawAdmitted,
  type AdmittedFolder,
} from '../../platform/admitted-folders.js'
import { placeOf, readMounts } from '../../platform/folder-identity.js'
import { isProvenLocal, readLocalSecret } from '../../platform/local-proof.js'
import { openFolder } from '../../platform/open-folder.js'
import { findOwnByPlace } from '../../platform/own-places.js'
import type { Admission, AdmissionList, AdmissionRequest } from '../../protocol/admission.js'
import type { Caller } from '../../protocol/caller.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { DomainServices } from '../services.js'

const forbid = (detail: string): ExecutorError => new ExecutorError('FORBIDDEN', { detail })

/**
 * Lets runs of the caller's token work in a folder of this machine. That he may admit it is proved by a secret of the
 * data folder: a token alone may be held by somebody else, elsewhere.
 * @throws ExecutorError FORBIDDEN, INVALID_REQUEST
 */
export async function admitFolder(
  { config }: Pick<DomainServices, 'config'>,
  { proof, ...claim }: AdmissionRequest,
  caller: Caller,
): Promise<Admission> {
  if (!config.allowHere) throw forbid('The operator has disabled allowing folders (CC_EXECUTOR_ALLOW_HERE=false).')
  const secret = await readLocalSecret(config.dataDir)
  if (secret === undefined || !isProvenLocal(secret, claim, proof, Date.now()))
    throw forbid(
      'Only the user of the service can allow a folder, on the same machine: cc-executor run --here proves ' +
        'this with local-secret in the data folder (CC_EXECUTOR_DATA_DIR), which must be the one of the ' +
        'service.',
    )
  const invalid = toInvalidRequest([
    { path: 'folder', message: 'is not the folder that the service sees at this path' },
  ])
  const folder = await openFolder(claim.folder).catch(() => {
    throw invalid
  })
  try {
    const isSame = folder.device === BigInt(claim.device) && folder.inode === BigInt(claim.inode)
    if (!isSame || folder.path !== claim.folder) throw invalid
    const place = placeOf(folder.fd, folder.path, readMounts())
    const setting = findOwnByPlace({ place, path: folder.path, isAbsolutelyNamed: true }, config)
    if (setting !== undefined)
      throw forbid(`The folder is, contains or is inside a folder of the service (${setting}); choose another one.`)
  } finally {
    await folder.close()
  }
  const entry = { token: caller.id, folder: claim.folder, admittedAt: new Date().toISOString() }
  const added = await addAdmitted(config.dataDir, entry)
  if (!added)
    throw forbid('Too many folders are allowed; withdraw some, or delete lines of admitted-folders in the data folder.')
  return toAdmission(added)
}

const toAdmission = (entry: AdmittedFolder): Admission => ({ id: admissionId(entry), ...entry })

const DEFAULT_LIMIT = 100

/** Sorts by time; a place in the list, whether or not the entry is still there. A time that is none is the oldest. */
const toCursor = ({ id, admittedAt }: Admission): string =>
  `${String(Date.parse(admittedAt) || 0).padStart(15, '0')}-${id}`

/** Those of the caller's token, newest first. */
export async function listAdmissions(
  { config }: { readonly config: Pick<DomainServices['config'], 'dataDir'> },
  { limit = DEFAULT_LIMIT, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  caller: Caller,
): Promise<AdmissionList> {
  const rest = (await listAdmitted(config.dataDir))
    .filter(({ token }) => token === caller.id)
    .map((entry) => ({ place: toCursor(toAdmission(entry)), admission: toAdmission(entry) }))
    .filter(({ place }) => cursor === undefined || place < cursor)
    .sort((one, other) => (one.place < other.place ? 1 : -1))
  return {
    admissions: rest.slice(0, limit).map(({ admission }) => admission),
    nextCursor: rest.length > limit ? (rest[limit - 1]?.place ?? null) : null,
  }
}

/**
 * Runs that are accepted, or start, from now on may not work there any more; those that run go on.
 * @throws ExecutorError WORKSPACE_NOT_FOUND
 */
export async function withdrawAdmission(
  { config }: Pick<DomainServices, 'config'>,
  id: string,
  caller: Caller,
): Promise<void> {
  if (!(await withdrawAdmitted(config.dataDir, caller.id, id)))
    throw new ExecutorError('WORKSPACE_NOT_FOUND', { detail: 'No folder with that id is allowed for this token.' })
}
