import * as z from 'zod'
import { runText as text } from './run-text.js'

const URL_LIMIT_BYTES = 2_048
const REF_LIMIT_BYTES = 255
const DEPTH_LIMIT = 1_000_000

/** As git admits the names of references (git-check-ref-format); a leading `-` would be an option. */
const REF_FAULT = /(?:^[-/.])|\.\.|@\{|\/[/.]|[\p{Cc}\s~^:?*[\\]|\.lock(?:\/|$)|[/.]$|^@$/u

const isReference = (name: string): boolean => !REF_FAULT.test(name)
const reference = text(REF_LIMIT_BYTES).refine(isReference, 'must be a name as git takes it (git check-ref-format)')

/** In place of a workspace: the run works in a checkout of its own. */
export const RepositoryRequest = z
  .strictObject({
    url: text(URL_LIMIT_BYTES).meta({
      description:
        'https, ssh, or an absolute path inside the allowed roots; only what the operator’s list allows ' +
        '(CC_EXECUTOR_REPOSITORIES). It holds no user name with a password: the credentials are the operator’s.',
    }),
    ref: reference.optional().meta({
      description:
        'A branch, a tag, a commit, or a full name such as refs/pull/7/head; default: the default branch of the ' +
        'repository. A branch comes before a tag of the same name.',
    }),
    branch: reference.optional().meta({
      description: 'The branch on which the run works, and which is pushed; default `cc-executor/<execution id>`.',
    }),
    depth: z.int().min(1).max(DEPTH_LIMIT).optional().meta({
      description: 'The checkout has only so many commits of the history; default: all that lead to `ref`.',
    }),
    submodules: z
      .boolean()
      .optional()
      .meta({
        description:
          'Check out submodules as well, each only if the operator’s list allows its URL; default false. Changes in ' +
          'them are not committed.',
      }),
    lfs: z
      .boolean()
      .optional()
      .meta({
        description:
          'Files of Git LFS are checked out themselves, and changed ones are committed as their pointers; default ' +
          'false: they stay pointers. The worker needs git-lfs; files of submodules stay pointers.',
      }),
    commit: z.boolean().optional().meta({
      description: 'Default true: after the run the worker commits what changed, as the operator’s author.',
    }),
    push: z
      .enum(['never', 'verified', 'always'])
      .optional()
      .meta({
        description:
          'Push the branch with the operator’s credentials, never by force. `verified`: only if the run succeeded ' +
          'and no check failed. Default `never`.',
      }),
  })
  .meta({
    id: 'RepositoryRequest',
    description:
      'In place of `workspace`: a checkout of exactly `ref`, for this execution alone. The worker commits what the ' +
      'run changed (`outcome.repository`, GET /executions/{id}/patch and /bundle) and pushes it if asked to.',
    examples: [{ url: 'https://github.com/acme/shop', ref: 'main', branch: 'fix/typo', push: 'verified' }],
  })
export type RepositoryRequest = z.infer<typeof RepositoryRequest>

const Commit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/)

/** What the run began with, as its start tells it. */
export const StartedRepository = z.object({
  url: z.string(),
  ref: z.string().optional().meta({ description: 'As requested; absent: the default branch.' }),
  baseCommit: Commit.meta({ description: 'What `ref` was when the worker resolved it; the run began with it.' }),
  branch: z.string(),
})
export type StartedRepository = z.infer<typeof StartedRepository>

export const PushError = z.object({
  code: z.enum(['PUSH_REJECTED', 'PUSH_FAILED', 'REPOSITORY_NOT_ALLOWED', 'SECRET_FOUND']).meta({
    description:
      '`PUSH_REJECTED`: the repository refused the branch (it has commits that the run did not have, or a rule or ' +
      'hook forbids it); `PUSH_FAILED`: it could not be reached, or not in time; `SECRET_FOUND`: the commits ' +
      'contain a secret of the operator. Later versions may add codes.',
  }),
  message: z.string(),
})
export type PushError = z.infer<typeof PushError>

/** What became of the checkout. */
export const RepositoryOutcome = z
  .object({
    url: z.string(),
    baseCommit: Commit,
    headCommit: Commit.meta({ description: '`baseCommit` if nothing was committed.' }),
    tree: Commit.meta({ description: 'The tree of `headCommit`.' }),
    branch: z.string(),
    commits: z.int().meta({ description: 'From `baseCommit` to `headCommit`: those of the run and the worker’s.' }),
    filesChanged: z.int(),
    insertions: z.int().meta({ description: 'Lines; those of binary files are not counted.' }),
    deletions: z.int(),
    pushed: z.boolean(),
    pushError: PushError.optional(),
    notCommitted: z.array(z.string()).optional().meta({
      description:
        'Changed paths that no commit holds, the first 100: repositories inside the checkout, and submodules.',
    }),
  })
  .meta({ id: 'RepositoryOutcome' })
export type RepositoryOutcome = z.infer<typeof RepositoryOutcome>
