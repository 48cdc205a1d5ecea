import { toCanonicalJson } from '../../verification/canonical-json.js'

/** What the API vouches for when it takes a request. Of a list it holds for its tasks, too. */
export interface Grant {
  /** The token had the admin scope. */
  readonly isAdmin: boolean
  /** The key that sealed it, by its name. */
  readonly kid: string
  readonly signature: string
}

interface Granted {
  readonly id: string
  readonly owner: string
  readonly createdAt: number
  readonly simulated: boolean
  /** Of the request as it stands in the record. */
  readonly requestDigest: string
  /** As it was named; a session has its own. */
  readonly workspace: string | null
}

/** What is sealed. The member `signs` keeps it from passing for anything else that a key signs. */
export function toGrantText(granted: Granted, { isAdmin, kid }: Omit<Grant, 'signature'>): string {
  const { id, owner, createdAt, simulated, requestDigest, workspace } = granted
  // In the order of canonical JSON: of well-formed text, whole numbers and flags JSON.stringify then makes the same.
  const members = {
    createdAt,
    id,
    isAdmin,
    kid,
    owner,
    requestDigest,
    signs: 'cc-executor/grant/1',
    simulated,
    workspace,
  }
  const text = JSON.stringify(members)
  // What is not well-formed is refused there.
  return text.includes('\\ud') ? toCanonicalJson(members) : text
}
