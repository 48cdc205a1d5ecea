import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import * as z from 'zod'

const KINDS = ['api_key', 'auth_token', 'oauth_token', 'login', 'bedrock', 'vertex', 'foundry'] as const
type Kind = (typeof KINDS)[number]

/** One of several credentials of a worker, as the operator's file has it. */
export interface CredentialEntry {
  readonly name: string
  readonly kind: Kind
  readonly weight: number
  readonly value?: string | undefined
  /** A Claude folder, with `login`. */
  readonly folder?: string | undefined
  readonly variables: Readonly<Record<string, string>>
}

/** In words for the operator: which entry, which field; never a value. */
export class CredentialsFileError extends Error {
  override readonly name = 'CredentialsFileError'
}

const FILE_LIMIT_BYTES = 1024 * 1024
const ENTRIES_LIMIT = 64

/** Where the value of a kind goes. A login has a folder in its place, and Vertex names a file in a variable. */
const VALUE_VARIABLES: Partial<Record<Kind, string>> = {
  api_key: 'ANTHROPIC_API_KEY',
  auth_token: 'ANTHROPIC_AUTH_TOKEN',
  oauth_token: 'CLAUDE_CODE_OAUTH_TOKEN',
  bedrock: 'AWS_BEARER_TOKEN_BEDROCK',
  foundry: 'ANTHROPIC_FOUNDRY_API_KEY',
}
const CLOUDS = {
  bedrock: { switch: 'CLAUDE_CODE_USE_BEDROCK', own: /^(?:AWS_|ANTHROPIC_BEDROCK_|CLAUDE_CODE_SKIP_BEDROCK_AUTH$)/ },
  vertex: {
    switch: 'CLAUDE_CODE_USE_VERTEX',
    own: /^(?:GOOGLE_|GCLOUD_|CLOUD_ML_|CLOUDSDK_|VERTEX_|ANTHROPIC_VERTEX_|CLAUDE_CODE_SKIP_VERTEX_AUTH$)/,
  },
  foundry: { switch: 'CLAUDE_CODE_USE_FOUNDRY', own: /^(?:AZURE_|ANTHROPIC_FOUNDRY_|CLAUDE_CODE_SKIP_FOUNDRY_AUTH$)/ },
} as const
const isCloud = (kind: Kind): kind is keyof typeof CLOUDS => kind in CLOUDS

/** What may differ with every credential: where the API is, and how its models are called there. */
const COMMON = /^ANTHROPIC_(?:BASE_URL|CUSTOM_HEADERS|SMALL_FAST_MODEL|(?:DEFAULT_\w+_)?MODEL)$/
/** What of the worker's own environment would prove somebody else than the entry. */
const OTHERS =
  /^(?:ANTHROPIC_(?:API_KEY|AUTH_TOKEN|FOUNDRY_API_KEY)|AWS_BEARER_TOKEN_BEDROCK|CLAUDE_CODE_(?:OAUTH|API_KEY_FILE)\w*|CLAUDE_CODE_USE_(?!NATIVE)\w+|CLAUDE_CONFIG_DIR)$/

/** Accounts of a person, not of an organisation: how many may serve is a matter of their terms. */
const isSubscription = (kind: Kind): boolean => kind === 'login' || kind === 'oauth_token'

const mayName = (kind: Kind, name: string): boolean =>
  COMMON.test(name) || (isCloud(kind) && CLOUDS[kind].own.test(name))

const Entry = z
  .strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, _, . or -'),
    kind: z.enum(KINDS, { error: `expected one of ${KINDS.join(', ')}` }),
    value: z
      .string()
      .regex(/^[\x21-\x7e]{8,16384}$/, 'expected at least 8 printable characters without blanks')
      .optional(),
    folder: z.string().refine(isAbsolute, 'expected an absolute path').optional(),
    weight: z.number().positive().max(1_000).default(1),
    variables: z.record(z.string(), z.string()).default({}),
  })
  .superRefine(({ kind, value, folder, variables }, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
    if (kind === 'login' && folder === undefined)
      refuse(['folder'], 'is missing: the Claude folder in which the login is')
    if (kind !== 'login' && folder !== undefined) refuse(['folder'], 'goes with the kind login only')
    if (value !== undefined && VALUE_VARIABLES[kind] === undefined)
      refuse(
        ['value'],
        kind === 'login' ? 'does not go with login: name its folder' : 'does not go with vertex: use variables',
      )
    if (value === undefined && !isCloud(kind) && kind !== 'login') refuse(['value'], 'is missing')
    for (const name of Object.keys(variables))
      if (!mayName(kind, name)) refuse(['variables', name], `is not a variable of the kind ${kind}`)
  })
const Entries = z
  .array(Entry, 'expected a list of credentials')
  .min(1, 'expected at least one credential')
  .max(ENTRIES_LIMIT)

/** The text of a file that only its owner can read. */
function readPrivate(path: string): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    // Safe: node:fs throws errno exceptions.
    throw new CredentialsFileError(`it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new CredentialsFileError('it is not a file')
    if ((stat.mode & 0o077) !== 0)
      throw new CredentialsFileError(
        `other users can open it (mode ${(stat.mode & 0o777).toString(8)}); run chmod 600 on it`,
      )
    if (stat.size > FILE_LIMIT_BYTES) throw new CredentialsFileError(`it is longer than ${FILE_LIMIT_BYTES} bytes`)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function parse(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text)
    const isWrapped = typeof json === 'object' && json !== null && Object.keys(json).join(',') === 'credentials'
    // Safe: it has this one member.
    return isWrapped ? (json as { credentials: unknown }).credentials : json
  } catch {
    // The parser's own message quotes the text.
    throw new CredentialsFileError('it is not valid JSON')
  }
}

/** `entry 2 (backup)`; a name that is no name is not repeated, as it may be anything. */
function nameEntry(json: unknown, index: number): string {
  // Safe: looked at as unknown.
  const { name } = (Array.isArray(json) ? json[index] : undefined) ?? ({} as { name?: unknown })
  const isName = typeof name === 'string' && /^[\w.-]{1,64}$/.test(name)
  return `entry ${index + 1}${isName ? ` (${name})` : ''}`
}

/** One account under two names would be taken for two. */
function requireDistinct(entries: readonly CredentialEntry[], poolsLogins: boolean): void {
  for (const [index, entry] of entries.entries()) {
    const refuse = (field: string, message: string): never => {
      throw new CredentialsFileError(`entry ${index + 1} (${entry.name}), ${field}: ${message}`)
    }
    const before = entries.slice(0, index)
    const sameAs = (field: 'name' | 'value' | 'folder'): number =>
      entry[field] === undefined ? -1 : before.findIndex((other) => other[field] === entry[field])
    for (const field of ['name', 'value', 'folder'] as const)
      if (sameAs(field) >= 0) refuse(field, `is the same as that of entry ${sameAs(field) + 1}`)
    if (!poolsLogins && isSubscription(entry.kind) && before.some(({ kind }) => isSubscription(kind)))
      refuse('kind', 'a second subscription requires CC_EXECUTOR_POOL_LOGINS=true; the terms of the accounts apply')
  }
}

/** @throws CredentialsFileError naming the entry and its field */
export function readCredentialsFile(path: string, poolsLogins: boolean): readonly CredentialEntry[] {
  const json = parse(readPrivate(path))
  const parsed = Entries.safeParse(json)
  if (!parsed.success) {
    const [first] = parsed.error.issues
    const [index, ...fields] = first?.path ?? []
    const message = first?.message ?? 'is not valid'
    if (typeof index !== 'number') throw new CredentialsFileError(message)
    const field = fields.length === 0 ? '' : `, ${fields.join('.')}`
    throw new CredentialsFileError(`${nameEntry(json, index)}${field}: ${message}`)
  }
  requireDistinct(parsed.data, poolsLogins)
  return parsed.data
}

/**
 * The environment in which this entry alone proves who pays. A cloud that says something of itself gets nothing of the
 * same cloud from the worker's own environment: halves of two identities are none.
 */
export function environmentOf(entry: CredentialEntry, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { kind, value, folder, variables } = entry
  const speaks = value !== undefined || Object.keys(variables).length > 0
  const isOthers = (name: string): boolean =>
    OTHERS.test(name) || (isCloud(kind) && speaks && CLOUDS[kind].own.test(name))
  const valueVariable = VALUE_VARIABLES[kind]
  const own: NodeJS.ProcessEnv = {}
  if (isCloud(kind)) own[CLOUDS[kind].switch] = '1'
  if (folder !== undefined) own['CLAUDE_CONFIG_DIR'] = folder
  Object.assign(own, variables)
  if (valueVariable !== undefined && value !== undefined) own[valueVariable] = value
  return {
    ...Object.fromEntries(Object.entries(environment).filter(([name]) => !isOthers(name))),
    ...own,
  }
}
