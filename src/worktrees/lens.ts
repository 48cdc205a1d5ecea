import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runGit as run } from '../git/run-git.js'
import { startPlain } from '../git/start-plain.js'
import type { Config } from '../platform/config.js'
import { readGitFile, type GitFolder } from '../verification/git-folder.js'

const EXCLUDES_BYTES = 64 * 1024
const SHALLOW_BYTES = 4 * 1024 * 1024
/** It lasts as long as one call may, and no longer. */
const NEVER = new AbortController().signal

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

/** How git is run on a lens. */
export interface LensGit {
  readonly environment: NodeJS.ProcessEnv
  /** For one call. */
  readonly timeoutMs: number
}

export const toLensGit = ({ environment, repositories }: Pick<Config, 'environment' | 'repositories'>): LensGit => ({
  environment,
  timeoutMs: repositories.timeoutMs,
})

/** What git says on standard output. It goes nowhere else, and is its own HOME. @throws GitError */
export async function runGit(
  { folder }: Lens,
  args: readonly string[],
  { git, workTree = folder }: { readonly git: LensGit; readonly workTree?: string },
): Promise<string> {
  const means = { ...git, start: startPlain, home: folder, ownFolders: [], signal: NEVER }
  const env = { GIT_ALLOW_PROTOCOL: '', GIT_DIR: folder, GIT_WORK_TREE: workTree }
  const { stdout } = await run(means, { args, cwd: workTree, env })
  return stdout.toString()
}
