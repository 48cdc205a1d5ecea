import { randomUUID } from 'node:crypto'
import { readdir, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../platform/make-folder.js'
import type { RepositorySettings } from '../platform/repository-settings.js'
import { removeTree } from '../platform/remove-tree.js'
import { giveObjects, makeBare } from './bare-repository.js'
import { GitError } from '../git/git-error.js'
import { runGit, tooLarge, type GitMeans } from './run-git.js'

/** A repository with what one commit needs and nothing else; once it is there it does not change. */
export interface Seed {
  /** A bare repository. */
  readonly seed: string
}

interface SeedOptions {
  readonly place: string
  readonly mirror: string
  readonly commit: string
  readonly depth: number | undefined
  readonly settings: RepositorySettings
}

/** So many are kept for each repository; the one that was made or used last is the last to go. */
const SEEDS_KEPT = 8
/** Beyond this the next one is made from the mirror again, in one pack. */
const PACKS_LIMIT = 12
const ENTRIES_LIMIT = 1_000_000
const BRANCH = 'refs/heads/seed'

const nameOf = ({ commit, depth = 0 }: Pick<SeedOptions, 'commit' | 'depth'>): string => `${commit}-${depth}.git`

async function listSeeds(folder: string): Promise<Array<{ readonly name: string; readonly usedAt: number }>> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^[0-9a-f]+-\d+\.git$/.test(name))
  const seeds = await Promise.all(
    names.map(async (name) => ({
      name,
      usedAt: await stat(join(folder, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    })),
  )
  return seeds.sort((a, b) => b.usedAt - a.usedAt)
}

/**
 * A tree can name one folder a thousand times at every level: a few bytes would be more files than any disk takes. So
 * they are counted before any is written.
 */
async function requireBounded(means: GitMeans, seed: string, commit: string, limitBytes: number): Promise<void> {
  let entries = 0
  let bytes = 0
  let line = ''
  await runGit(means, {
    args: ['ls-tree', '-r', '-l', '-z', '--full-tree', commit],
    cwd: seed,
    env: { GIT_DIR: seed },
    isOwn: true,
    onOutput(chunk) {
      const lines = (line + chunk.toString('latin1')).split('\0')
      line = lines.pop() ?? ''
      entries += lines.length
      for (const one of lines) bytes += Number(/ (\d+)\t/.exec(one)?.[1] ?? 0)
      if (entries > ENTRIES_LIMIT) throw new GitError('too_large', `The checkout has more than ${ENTRIES_LIMIT} files.`)
      if (bytes > limitBytes) throw tooLarge(limitBytes)
    },
  })
}

/** One that holds an ancestor holds most of it. */
async function findBasis(means: GitMeans, { mirror, commit, depth }: SeedOptions, folder: string) {
  if (depth !== undefined) return undefined
  const [latest] = (await listSeeds(folder)).filter(({ name }) => name.endsWith('-0.git'))
  if (!latest) return undefined
  const basis = join(folder, latest.name)
  const packs = (await readdir(join(basis, 'objects/pack'))).filter((name) => name.endsWith('.pack'))
  if (packs.length > PACKS_LIMIT || (await stat(join(basis, 'shallow')).catch(() => undefined))) return undefined
  const [ancestor = ''] = latest.name.split('-')
  const { exitCode } = await runGit(means, {
    args: ['merge-base', '--is-ancestor', ancestor, commit],
    cwd: mirror,
    env: { GIT_DIR: mirror },
    isOwn: true,
    accepts: [0, 1, 128],
  })
  return exitCode === 0 ? { folder: basis, commit: ancestor } : undefined
}

/** Whoever calls holds the lock of the mirror. @throws GitError */
export async function makeSeed(means: GitMeans, options: SeedOptions): Promise<Seed> {
  const { place, mirror, commit, depth, settings } = options
  const folder = join(place, 'seeds')
  const seed = join(folder, nameOf(options))
  await makeFolder(folder, 0o700)
  if (await stat(join(seed, 'HEAD')).catch(() => undefined)) {
    await utimes(seed, new Date(), new Date())
    return { seed }
  }
  // Of workers that were killed.
  for (const name of await readdir(folder)) if (name.startsWith('part-')) await removeTree(join(folder, name))
  const part = join(folder, `part-${randomUUID()}`)
  try {
    await makeBare(part)
    const basis = await findBasis(means, options, folder)
    if (basis) {
      await giveObjects(basis.folder, part, 'link')
      await writeFile(join(part, BRANCH), `${basis.commit}\n`)
    }
    await runGit(means, {
      args: [
        'fetch',
        '--quiet',
        '--no-tags',
        '--update-shallow',
        '--no-write-fetch-head',
        '--no-auto-maintenance',
        ...(depth === undefined ? [] : [`--depth=${depth}`]),
        `file://${mirror}`,
        `+${commit}:${BRANCH}`,
      ],
      cwd: part,
      env: { GIT_DIR: part },
      isOwn: true,
    })
    await requireBounded(means, part, commit, settings.limitBytes)
    await rename(part, seed)
  } catch (error) {
    await removeTree(part)
    throw error
  }
  for (const { name } of (await listSeeds(folder)).slice(SEEDS_KEPT)) await removeTree(join(folder, name))
  return { seed }
}
