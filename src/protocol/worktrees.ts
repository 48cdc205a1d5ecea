import * as z from 'zod'

/** As git admits names of branches and tags: none leads out of its folder, or is an option. */
const NAME = /^(?![-./])(?!.*(?:\.\.|@\{|\/[./]|\.lock(?:\/|$)|[./]$))(?!@$)[^\p{Cc}\s~^:?*[\\]+$/u
const Reference = z.string().max(200).regex(NAME, 'expected the name of a branch, a tag or a commit')
const Commit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/)

/** A git worktree of a run's own, in place of the checkout that `workspace` names. */
export const WorktreeRequest = z
  .strictObject({
    ref: Reference.meta({ description: 'Where it begins: a branch, a tag, a commit, or HEAD of the checkout.' }),
    branch: Reference.refine((name) => name !== 'HEAD', 'is not a name for a branch')
      .optional()
      .meta({ description: 'The new branch that is checked out in it; default `cc-executor/<execution id>`.' }),
  })
  .meta({
    id: 'WorktreeRequest',
    description:
      'Only with `workspace` as an absolute path inside an allowed root, the top folder of a git repository: the run ' +
      'works in a separate git worktree, on a new branch, and the checkout stays as it is.',
    examples: [{ ref: 'main', branch: 'fix/typo' }],
  })
export type WorktreeRequest = z.infer<typeof WorktreeRequest>

/** Where the worktree of a run began. */
export const StartedWorktree = z
  .object({ ref: z.string(), branch: z.string(), commit: Commit.meta({ description: 'What `ref` was.' }) })
  .meta({ id: 'StartedWorktree' })
export type StartedWorktree = z.infer<typeof StartedWorktree>

/** What became of it. */
export const WorktreeOutcome = z
  .object({
    branch: z.string(),
    baseCommit: Commit.meta({ description: 'Where the worktree began.' }),
    headCommit: Commit.optional().meta({ description: 'HEAD of the worktree after the run.' }),
    headBranch: z.string().optional().meta({ description: 'Its branch after the run; absent where HEAD is detached.' }),
    commits: z.int().optional().meta({ description: 'From `baseCommit` to `headCommit`.' }),
    uncommitted: z.int().optional().meta({
      description: 'Changed and new files that are in no commit; absent where git could not tell.',
    }),
    uncommittedFiles: z.array(z.string()).optional().meta({ description: 'The first 50 of them.' }),
    message: z.string().meta({
      description: 'What the run left, and what becomes of the worktree (cc-executor worktrees).',
    }),
  })
  .meta({ id: 'WorktreeOutcome' })
export type WorktreeOutcome = z.infer<typeof WorktreeOutcome>
