import { resolve } from 'node:path'
import { sessionOf } from '../../claude/command/run-request.js'
import type { Config } from '../../platform/config.js'
import { socketOf } from '../../platform/redis-url.js'
import { readPublicKeys, verifySignature, type SigningKey } from '../../verification/signing-key.js'
import { ExecutorError } from '../../protocol/errors.js'
import { digestRequest } from '../records/digest-request.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import { toGrantText, type Grant } from '../records/grant.js'
import { isInside } from '../workspaces/workspace-name.js'
import type { Rights } from './run-policy.js'

type Granted = Pick<ExecutionRecord, 'id' | 'owner' | 'createdAt' | 'simulated' | 'request'> & {
  readonly workspace?: string
}

const toText = (record: Granted, requestDigest: string, claim: Omit<Grant, 'signature'>): string => {
  const workspace = sessionOf(record.request) === undefined ? (record.workspace ?? null) : null
  return toGrantText({ ...record, requestDigest, workspace }, claim)
}

/** Signs what the token of a request may do, with the key of this process's data folder. */
export async function grantRights(
  { signingKey }: { readonly signingKey: () => Promise<SigningKey> },
  record: Granted & Pick<ExecutionRecord, 'requestDigest'>,
  { isAdmin }: Rights,
): Promise<Grant> {
  const key = await signingKey()
  const claim = { isAdmin, kid: key.jwk.kid }
  return { ...claim, signature: await key.signBeside(toText(record, record.requestDigest, claim)) }
}

/** Redis is this data folder's own: every API that writes to it has the folder's key. */
function isEmbedded({ redisUrl, dataDir }: Pick<Config, 'redisUrl' | 'dataDir'>): boolean {
  const socket = socketOf(redisUrl)
  return socket !== undefined && isInside(resolve(socket), resolve(dataDir))
}

const changed = (why: string): ExecutorError =>
  new ExecutorError('FORBIDDEN', { detail: `the record differs from what the API stored: ${why}.` })

/**
 * What rights a record comes with. A grant by a key of this data folder, now or earlier, must be true. One by another
 * key is that of an API on another host, which has a folder of its own: its word is taken as it is written, but not
 * where Redis lies in this folder. Without a grant, as an older API writes it, there are no rights but those of all.
 * @throws ExecutorError FORBIDDEN
 */
export async function readRights(
  { config }: { readonly config: Pick<Config, 'redisUrl' | 'dataDir'> },
  record: Granted & { readonly grant?: Grant },
): Promise<Rights> {
  const { grant } = record
  if (!grant) return { isAdmin: false }
  const known = (await readPublicKeys(config.dataDir)).find(({ kid }) => kid === grant.kid)
  if (known) {
    if (!verifySignature(known.x, toText(record, digestRequest(record.request), grant), grant.signature))
      throw changed('its signature does not match its content')
  } else if (isEmbedded(config)) throw changed('it is signed with a key that never belonged to this service')
  return { isAdmin: grant.isAdmin }
}
