import { copyFile, chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import type { RepositoryAddress } from '../platform/repository-url.js'
import { quoteForShell } from '../platform/shell-quote.js'
import { secretsOf } from '../platform/secret-values.js'
import { GitError } from '../git/git-error.js'

/** What one line of the operator's file says. */
type Credential =
  /** As `git credential-store` writes it. */
  | { readonly kind: 'http'; readonly line: string; readonly url: URL }
  | {
      readonly kind: 'ssh'
      readonly url: URL
      readonly keyFile: string
      readonly knownHosts: string | undefined
    }

/** Others than its owner can read it. */
const OPEN_TO_OTHERS = 0o077

function readLine(line: string): Credential | undefined {
  const [address = '', keyFile, knownHosts] = line.trim().split(/\s+/)
  if (address === '' || address.startsWith('#') || !URL.canParse(address)) return undefined
  const url = new URL(address)
  if (url.protocol === 'ssh:')
    return keyFile !== undefined && isAbsolute(keyFile) ? { kind: 'ssh', url, keyFile, knownHosts } : undefined
  return /^https?:$/.test(url.protocol) && keyFile === undefined ? { kind: 'http', line: address, url } : undefined
}

async function readCredentials(file: string): Promise<Credential[]> {
  let text: string
  try {
    if (((await stat(file)).mode & OPEN_TO_OTHERS) !== 0)
      throw new GitError('failed', 'CC_EXECUTOR_GIT_CREDENTIALS_FILE: other users can read the file; chmod it to 0600.')
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof GitError) throw error
    throw new GitError('failed', 'CC_EXECUTOR_GIT_CREDENTIALS_FILE: the worker cannot read the file.', { cause: error })
  }
  return text.split('\n').flatMap((line) => readLine(line) ?? [])
}

/** What of the file must be shown to nobody: it is looked for in all that a run says. */
export async function secretsOfGit(file: string | undefined): Promise<string[]> {
  if (file === undefined) return []
  const credentials = await readCredentials(file).catch(() => [])
  return credentials.flatMap((one) => (one.kind === 'http' ? secretsOf('url', one.line, 'any') : []))
}

/** How git proves to one host who the operator is. */
interface GitAccess {
  readonly options: readonly (readonly [string, string])[]
  readonly env: Readonly<Record<string, string>>
}

const NO_ACCESS: GitAccess = { options: [], env: {} }

/**
 * The operator's credentials for one address, as files in a folder of the worker's own that git alone is shown: a copy,
 * so that git, which forgets what a server refuses, changes nothing of the operator's.
 * @param home in which they are written; whoever made it removes it
 */
export async function openAccess(
  { url, kind }: RepositoryAddress,
  file: string | undefined,
  home: string,
): Promise<GitAccess> {
  if (kind === 'local' || kind === 'git') return NO_ACCESS
  const { host, hostname, username } = new URL(url)
  const credentials = file === undefined ? [] : await readCredentials(file)
  if (kind === 'http') {
    const lines = credentials.flatMap((one) => (one.kind === 'http' && one.url.host === host ? one.line : []))
    if (lines.length === 0) return NO_ACCESS
    const store = join(home, 'credentials')
    await writeFile(store, `${lines.join('\n')}\n`, { mode: 0o600 })
    return { options: [['credential.helper', `store --file=${quoteForShell(store)}`]], env: {} }
  }
  const found = credentials.find(
    (one) => one.kind === 'ssh' && one.url.host === host && (one.url.username === '' || one.url.username === username),
  )
  const command = ['ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes']
  if (found?.kind !== 'ssh') return { options: [], env: { GIT_SSH_COMMAND: command.join(' '), GIT_SSH_VARIANT: 'ssh' } }
  const key = join(home, 'key')
  try {
    await copyFile(found.keyFile, key)
    await chmod(key, 0o600)
    command.push('-o', 'IdentitiesOnly=yes', '-i', quoteForShell(key))
    if (found.knownHosts !== undefined) {
      const known = join(home, 'known_hosts')
      await copyFile(found.knownHosts, known)
      command.push('-o', quoteForShell(`UserKnownHostsFile=${known}`))
    }
  } catch (cause) {
    const message = `CC_EXECUTOR_GIT_CREDENTIALS_FILE: a file that it names for ${hostname} cannot be read.`
    throw new GitError('failed', message, { cause })
  }
  return { options: [], env: { GIT_SSH_COMMAND: command.join(' '), GIT_SSH_VARIANT: 'ssh' } }
}
