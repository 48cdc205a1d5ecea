import { writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { makeFolder } from '../platform/make-folder.js'

/**
 * What git reads beside the repository it works on, and what it would start, all of it set aside. A repository can name
 * programs in its configuration (hooks, filters, fsmonitor, external diffs, ssh commands …); the worker therefore never
 * lets git read the configuration of a repository that anybody else could have written, and gives these options on the
 * command line besides, where they come before every file.
 */

/** Protocols by which git may go out, in a fetch, a push and a submodule alike. `ext::` starts programs. */
const PROTOCOLS = 'file:git:http:https:ssh'

/** A setting, and what it is set to. */
export type GitOption = readonly [string, string]

export const HARDENED_OPTIONS: readonly GitOption[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.excludesFile', '/dev/null'],
  ['core.editor', 'false'],
  ['core.askPass', ''],
  ['core.quotePath', 'false'],
  ['core.protectHFS', 'true'],
  ['core.protectNTFS', 'true'],
  ['core.untrackedCache', 'false'],
  ['core.fileMode', 'true'],
  ['core.symlinks', 'true'],
  ['core.autocrlf', 'false'],
  ['core.safecrlf', 'false'],
  ['credential.helper', ''],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['push.recurseSubmodules', 'no'],
  ['diff.ignoreSubmodules', 'all'],
  ['diff.renames', 'true'],
  ['diff.suppressBlankEmpty', 'false'],
  ['format.signature', ''],
  ['commit.gpgSign', 'false'],
  ['tag.gpgSign', 'false'],
  ['push.gpgSign', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['fetch.unpackLimit', '1'],
  ['fetch.writeCommitGraph', 'false'],
  ['checkout.workers', '0'],
  ['http.followRedirects', 'initial'],
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
  ['advice.detachedHead', 'false'],
]

export const toOptionArguments = (options: readonly GitOption[]): string[] =>
  options.flatMap(([name, value]) => ['-c', `${name}=${value}`])

const GLOBAL_FILE = 'gitconfig'
/** Whose a repository is decides nothing here: what can be run of one is run in a sandbox, or not at all. */
const GLOBAL = '[safe]\n\tdirectory = *\n'

/** An empty HOME for git, with what only a file can tell it. */
export async function makeGitHome(home: string): Promise<void> {
  await makeFolder(home, 0o700)
  await writeFile(join(home, GLOBAL_FILE), GLOBAL)
}

/** Of the worker's environment, what leads to the network. */
const PASSED =
  /^(?:TZ|(?:HTTPS?|ALL|NO)_PROXY|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|CURL_CA_BUNDLE|GIT_SSL_CAINFO)$/
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A folder that is named from where git works would be one of the run's. */
const toPath = (path = ''): string => path.split(':').filter(isAbsolute).join(':') || DEFAULT_PATH

/** The whole environment of a git of the worker's; nothing of the service's settings or secrets is in it. */
export function gitEnvironment(worker: NodeJS.ProcessEnv, home: string): Record<string, string> {
  const passed = Object.entries(worker).flatMap(([name, value]) =>
    value !== undefined && PASSED.test(name) ? [[name, value] as const] : [],
  )
  return {
    ...Object.fromEntries(passed),
    PATH: toPath(worker['PATH']),
    HOME: home,
    XDG_CONFIG_HOME: home,
    LC_ALL: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    // The only one that also reaches the git of the other side, where that is a path of this host.
    GIT_CONFIG_GLOBAL: join(home, GLOBAL_FILE),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: PROTOCOLS,
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GIT_EDITOR: 'false',
    GIT_PAGER: 'cat',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    // An address is taken as it stands: no search for a repository around it.
    GIT_DISCOVERY_ACROSS_FILESYSTEM: '0',
  }
}
