import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whom git names in commits. */
export interface GitIdentity {
  readonly name?: string
  readonly email?: string
}

/** No word for it: nothing of the operator's is handed on. */
export const NO_IDENTITY = 'none'
/** As git writes people, and in an environment variable. */
export const IDENTITY = /^([^<>\p{Cc}]*[^<>\s\p{Cc}])\s+<([^<>\s\p{Cc}]+)>$/u

const DEADLINE_MS = 5_000
/** A change of the operator's counts after this; one look costs a process. */
const KEPT_MS = 30_000

/**
 * `user.name` and `user.email` of the operator's own git configuration, includes of it as well. Asked in a folder that
 * is no repository, so that nobody else's is read.
 */
async function readOwn({ PATH, HOME, XDG_CONFIG_HOME }: NodeJS.ProcessEnv): Promise<GitIdentity> {
  const { stdout } = await run(
    'git',
    ['config', '--global', '--includes', '--null', '--get-regexp', '^user\\.(name|email)$'],
    {
      cwd: '/',
      env: { PATH, HOME, XDG_CONFIG_HOME, GIT_CEILING_DIRECTORIES: '/', GIT_TERMINAL_PROMPT: '0' },
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    },
  )
  const values = new Map(
    stdout.split('\0').map((entry) => {
      const [key = '', ...lines] = entry.split('\n')
      return [key, lines.join('\n')] as const
    }),
  )
  return { name: values.get('user.name') || undefined, email: values.get('user.email') || undefined }
}

/**
 * Who the runs of a worker are in git. @param setting `Name <address>`, `none`, or undefined: as the operator is.
 * Without git, or without a configuration, they are nobody.
 */
export function createGitIdentity(
  setting: string | undefined,
  environment: NodeJS.ProcessEnv,
): () => Promise<GitIdentity> {
  const found = setting === undefined ? undefined : IDENTITY.exec(setting)
  if (setting !== undefined) return async () => (found ? { name: found[1], email: found[2] } : {})
  let known: { readonly until: number; readonly identity: Promise<GitIdentity> } | undefined
  return () => {
    // Only how long ago is asked, of this process alone.
    const now = performance.now()
    if (known === undefined || known.until < now)
      known = { until: now + KEPT_MS, identity: readOwn(environment).catch(() => ({})) }
    return known.identity
  }
}

/** A value as git's configuration writes it. */
const quote = (value: string): string =>
  `"${value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`

/**
 * The configuration that a run's git reads from its HOME. Some workspaces belong to another user than the run's, as
 * whatever a group shares: git works there only where it is told to.
 */
export function toGitConfig({ name, email }: GitIdentity, workspace: string): string {
  const user = [
    ...(name === undefined ? [] : [`\tname = ${quote(name)}`]),
    ...(email === undefined ? [] : [`\temail = ${quote(email)}`]),
  ]
  return [
    ...(user.length === 0 ? [] : ['[user]', ...user]),
    '[safe]',
    `\tdirectory = ${quote(workspace)}`,
    // What lies in it, submodules for example; older ones than git 2.46 take it for a name.
    `\tdirectory = ${quote(`${workspace}/*`)}`,
    '',
  ].join('\n')
}
