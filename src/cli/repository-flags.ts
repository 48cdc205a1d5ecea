import { parseNumber } from '../protocol/numbers.js'
import { UsageError } from './command.js'

const one = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** Together they are the field `repository` of a request. */
export const REPOSITORY_FLAGS = {
  repo: one,
  ref: one,
  branch: one,
  depth: one,
  submodules: flag,
  lfs: flag,
  'no-commit': flag,
  push: flag,
  'push-always': flag,
} as const

export const REPOSITORY_USAGE = `\
  --repo URL                      in place of --workspace: a checkout of this repository, on its own branch
  --ref NAME                      branch, tag or commit to begin with; default: the default branch
  --branch NAME                   the branch on which the run works; default cc-executor/<id>
  --depth N, --submodules         so many commits of the history; submodules as well
  --lfs                           files of Git LFS themselves, not their pointers
  --no-commit                     what changed is left uncommitted
  --push, --push-always           push the branch: if the run succeeded and no check failed, or in any case`

interface RepositoryFlags {
  readonly repo?: string
  readonly ref?: string
  readonly branch?: string
  readonly depth?: string
  readonly submodules?: boolean
  readonly lfs?: boolean
  readonly 'no-commit'?: boolean
  readonly push?: boolean
  readonly 'push-always'?: boolean
}

/** @throws UsageError */
export function toRepository({
  repo,
  push = false,
  'push-always': always = false,
  'no-commit': isLeft = false,
  depth,
  ...others
}: RepositoryFlags): unknown {
  const { ref, branch, submodules, lfs } = others
  if (repo === undefined) {
    const given = Object.keys(REPOSITORY_FLAGS).find((name) =>
      [push && 'push', always && 'push-always', isLeft && 'no-commit', depth !== undefined && 'depth'].includes(name),
    )
    const other =
      Object.entries({ ref, branch, submodules, lfs }).find(([, value]) => value !== undefined)?.[0] ?? given
    if (other !== undefined) throw new UsageError(`--${other} needs --repo with the address of a repository`)
    return undefined
  }
  if (push && always) throw new UsageError('give either --push or --push-always, not both')
  return {
    url: repo,
    ref,
    branch,
    depth: depth === undefined ? undefined : parseNumber(depth),
    submodules,
    lfs,
    commit: isLeft ? false : undefined,
    push: push ? 'verified' : always ? 'always' : undefined,
  }
}
