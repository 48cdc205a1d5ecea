import { resolve } from 'node:path'
import { sessionOf } from '../../claude/command/run-request.js'
import type { Config } from '../../platform/config.js'
import { socketOf } from '../../platform/redis-url.js'
import type { GrantKey } from '../../verification/grant-key.js'
import { readPublicKeys, verifySignature } from '../../verification/signing-key.js'
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

/** Seals what the token of a request may do, with the key of this process's data folder. */
export async function grantRights(
  { grantKey }: { readonly grantKey: () => Promise<GrantKey> },
  record: Granted & Pick<ExecutionRecord, 'requestDigest'>,
  { isAdmin }: Rights,
): Promise<Grant> {
  const key = await grantKey()
  const claim = { isAdmin, kid: key.kid }
  return { ...claim, signature: key.seal(toText(record, record.requestDigest, claim)) }
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
  services: {
    readonly config: Pick<Config, 'redisUrl' | 'dataDir'>
    readonly grantKey: () => Promise<GrantKey>
  },
  record: Granted & { readonly grant?: Grant },
): Promise<Rights> {
  const { grant } = record
  if (!grant) return { isAdmin: false }
  const isTrue = await findSeal(services, grant)
  if (isTrue?.(toText(record, digestRequest(record.request), grant)) === false)
    throw changed('its signature does not match its content')
  if (!isTrue && isEmbedded(services.config))
    throw changed('it is signed with a key that never belonged to this service')
  return { isAdmin: grant.isAdmin }
}

/** What tells whether the seal of a grant is that of a text, where its key is one of this data folder. */
async function findSeal(
  { config, grantKey }: Parameters<typeof readRights>[0],
  { kid, signature }: Grant,
): Promise<((text: string) => boolean) | undefined> {
  const key = await grantKey()
  if (kid === key.kid) return (text) => key.fits(text, signature)
  // As an API signed before there was a secret for it.
  const { x } = (await readPublicKeys(config.dataDir)).find((known) => known.kid === kid) ?? {}
  return x === undefined ? undefined : (text) => verifySignature(x, text, signature)
}
