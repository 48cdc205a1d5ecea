import { isAbsolute, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where a repository is, in the one spelling by which it is looked up, mirrored and told. */
export interface RepositoryAddress {
  readonly url: string
  /** `local`: a path of this host; `http`, `ssh` and `git` need the network. */
  readonly kind: 'local' | 'http' | 'ssh' | 'git'
}

/** Says what is wrong with an address, for its caller. */
export class RepositoryUrlError extends Error {
  override readonly name = 'RepositoryUrlError'
}

/** Without TLS or a host key everybody on the way could answer: only where nobody is on the way. */
const PLAIN_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]'])
/** `git@example.org:acme/shop`, as git and its hosts write it; a colon after a slash belongs to a path. */
const SCP_FORM = /^(?:([\w.-]+)@)?([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(?!\/\/|:)(.+)$/i
/** Of a path in an address: what servers decode once more, and what no repository needs. */
const ODD_PATH = /%(?:2e|2f|5c|00|0a|0d)|\\/i

const refuse = (message: string): never => {
  throw new RepositoryUrlError(message)
}

function toLocal(path: string): RepositoryAddress {
  if (path.split('/').includes('..')) refuse('must not contain ..')
  const normal = normalize(path).replace(/(?<=.)\/+$/, '')
  return { url: normal, kind: 'local' }
}

function toRemote(url: URL): RepositoryAddress {
  const { protocol, hostname, username, password, search, hash, pathname } = url
  if (password !== '' || (username !== '' && protocol !== 'ssh:'))
    refuse('must not hold a user name or a password; the credentials are the operator’s')
  if (search !== '' || hash !== '') refuse('must end with its path')
  if (hostname === '' || !/^[\w[]/.test(hostname)) refuse('must name a host')
  if (username.startsWith('-') || !/^[\w.-]*$/.test(username)) refuse('has a user name that no host knows')
  if (pathname.length < 2) refuse('must have a path')
  const isPlain = protocol === 'http:' || protocol === 'git:'
  if (isPlain && !PLAIN_HOSTS.has(hostname)) refuse(`${protocol}// is accepted on the loopback only; use https or ssh`)
  const path = pathname.replace(/\/+$/, '')
  const user = username === '' ? '' : `${username}@`
  const kind = protocol === 'ssh:' ? 'ssh' : protocol === 'git:' ? 'git' : 'http'
  return { url: `${protocol}//${user}${url.host}${path}`, kind }
}

/** @throws RepositoryUrlError */
export function parseRepositoryUrl(text: string): RepositoryAddress {
  if (/[\p{Cc}\s]/u.test(text)) refuse('must not contain spaces or control characters')
  if (isAbsolute(text)) return toLocal(text)
  if (/^file:/i.test(text)) {
    try {
      return toLocal(fileURLToPath(text))
    } catch (error) {
      if (error instanceof RepositoryUrlError) throw error
      return refuse('is not a file URL of this host')
    }
  }
  const [, user, host, path] = SCP_FORM.exec(text) ?? []
  const address =
    host !== undefined && path !== undefined && !/^(?:https?|ssh|git)$/i.test(host)
      ? `ssh://${user === undefined ? '' : `${user}@`}${host}/${path.replace(/^\/+/, '')}`
      : text
  if (!/^(?:https?|ssh|git):\/\//i.test(address) || !URL.canParse(address))
    return refuse('must be an https:// or ssh:// address, or an absolute path')
  if (address.split(/[/?#]/).includes('..')) refuse('must not contain ..')
  // As it is written: the parser takes out what it understands.
  if (ODD_PATH.test(address)) refuse('has a path that servers read in different ways')
  return toRemote(new URL(address))
}

const escapePattern = (text: string): string => text.replaceAll(/[\\^$.+?()[\]{}|/-]/g, '\\$&')
/** `x` and `x.git` are one repository to every host. */
const withoutSuffix = ({ url, kind }: RepositoryAddress): string => (kind === 'local' ? url : url.replace(/\.git$/, ''))

/** A pattern of the operator's, with its wildcards made parts of a name for the parser. @throws RepositoryUrlError */
function readPattern(pattern: string): RegExp {
  if (pattern === '*') return /^/
  // A host is compared without regard to case, and `*` in it stays in it.
  const [, scheme = '', host = '', path = ''] = /^([a-z]+:\/\/)([^/]*)(.*)$/i.exec(pattern) ?? []
  if (scheme !== '' && !/^file:/i.test(scheme)) {
    const [, user = '', name = ''] = /^(?:([^@]*)@)?(.*)$/.exec(host) ?? []
    if (!/^(?:https?|ssh|git):\/\/$/i.test(scheme) || name === '' || path.length < 2)
      refuse('must be an address with a host and a path')
    const wild = (text: string, any: string): string => text.split('*').map(escapePattern).join(any)
    const userPart = host.includes('@') ? `${wild(user, '[\\w.-]*')}@` : ''
    const suffixless = path.replace(/\/+$/, '').replace(/\.git$/, '')
    return new RegExp(
      `^${escapePattern(scheme.toLowerCase())}${userPart}${wild(name.toLowerCase(), '[^/@:]*')}${wild(suffixless, '.*')}$`,
    )
  }
  const [, , scpHost] = SCP_FORM.exec(pattern.replaceAll('*', 'x')) ?? []
  if (scheme === '' && scpHost !== undefined && !isAbsolute(pattern))
    return readPattern(`ssh://${pattern.replace(/:\/*/, '/')}`)
  const local = scheme === '' ? pattern : pattern.slice('file://'.length)
  if (!isAbsolute(local)) refuse('must be an https:// or ssh:// address, or an absolute path, with * for any part')
  return new RegExp(
    `^${local
      .replace(/(?<=.)\/+$/, '')
      .split('*')
      .map(escapePattern)
      .join('.*')}$`,
  )
}

/** What is wrong with a pattern; undefined where nothing is. */
export function describePattern(pattern: string): string | undefined {
  try {
    readPattern(pattern)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/**
 * Whether the operator's list allows it. `*` stands for any part of a path, or of a host's name without leaving it.
 * @param patterns each of which `describePattern` has found to be in order
 */
export const isListed = (address: RepositoryAddress, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => readPattern(pattern).test(withoutSuffix(address)))
