import { execFile } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { readGitFile, type GitFolder } from '../verification/git-folder.js'

const DEADLINE_MS = 10 * 60_000
/** Of what git says; a longer list is one that nobody reads. */
const OUTPUT_BYTES = 16 * 1024 * 1024
const SAID_CHARACTERS = 500
const EXCLUDES_BYTES = 64 * 1024
const SHALLOW_BYTES = 4 * 1024 * 1024
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin'

/** Why git did not do it, in its own words. */
export class GitError extends Error {
  override readonly name = 'GitError'
}

/**
 * A repository of the worker's own through which it looks at the objects of another one. git reads the configuration
 * of this one alone: what the other one names in its own (hooks, filters, fsmonitor, ssh commands, includes) is not
 * even read. It holds an index, and never writes into the other one.
 */
export interface Lens {
  readonly folder: string
}

export const lensOf = (keeper: string): Lens => ({ folder: join(keeper, 'lens') })

/** @param commit by whose length the repository's kind of hashes is known */
export async function makeLens({ folder }: Lens, common: GitFolder & { readonly path: string }, commit: string) {
  for (const name of ['', 'objects', 'objects/info', 'refs', 'info'])
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
  const isSha256 = commit.length === 64
  await writeFile(
    join(folder, 'config'),
    `[core]\n\trepositoryformatversion = ${isSha256 ? 1 : 0}\n\tbare = false\n` +
      (isSha256 ? '[extensions]\n\tobjectFormat = sha256\n' : ''),
  )
  await writeFile(join(folder, 'objects/info/alternates'), `${common.path}/objects\n`)
  await writeFile(join(folder, 'info/exclude'), `${readGitFile(common, 'info/exclude', EXCLUDES_BYTES) ?? ''}\n`)
  const shallow = readGitFile(common, 'shallow', SHALLOW_BYTES)
  if (shallow !== undefined) await writeFile(join(folder, 'shallow'), `${shallow}\n`)
  await setLensHead({ folder }, commit)
}

export const setLensHead = ({ folder }: Lens, commit: string): Promise<void> =>
  writeFile(join(folder, 'HEAD'), `${commit}\n`)

/** The index as the worker made it: what a run writes into its own is not believed. */
export const copyIndex = ({ folder }: Lens, target: string): Promise<void> => copyFile(join(folder, 'index'), target)

/** What a configuration cannot say, since it is said here, and what no configuration is asked about. */
const OPTIONS = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.untrackedCache=false',
  'core.quotePath=false',
  'core.autocrlf=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'submodule.recurse=false',
  'gc.auto=0',
  'maintenance.auto=false',
].flatMap((option) => ['-c', option])

const toPath = (path = ''): string => path.split(':').filter(isAbsolute).join(':') || DEFAULT_PATH

/** Nothing of the service's environment but PATH, and no file of anybody's. */
const toEnvironment = ({ folder }: Lens, workTree: string, path: string | undefined): Record<string, string> => ({
  PATH: toPath(path),
  HOME: folder,
  XDG_CONFIG_HOME: folder,
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_ALLOW_PROTOCOL: '',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_NO_LAZY_FETCH: '1',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_DIR: folder,
  GIT_WORK_TREE: workTree,
})

/** What git says on standard output. @throws GitError */
export function runGit(
  lens: Lens,
  args: readonly string[],
  { workTree = lens.folder, path }: { readonly workTree?: string; readonly path: string | undefined },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd: workTree,
      env: toEnvironment(lens, workTree, path),
      maxBuffer: OUTPUT_BYTES,
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    } as const
    execFile('git', [...OPTIONS, ...args], options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const said = stderr
        .trim()
        .replaceAll(/\p{Cc}+/gu, ' ')
        .slice(0, SAID_CHARACTERS)
      const isMissing = error.code === 'ENOENT'
      reject(new GitError(isMissing ? 'There is no git on the worker.' : said || error.message, { cause: error }))
    })
  })
}
