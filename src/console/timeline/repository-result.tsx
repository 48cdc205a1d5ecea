import type { ReactNode } from 'react'
import type { Execution } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { CopyButton } from '../ui/copy-button.js'
import { saveBlob } from '../ui/save-file.js'
import { Fault } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'

type Outcome = NonNullable<Execution['outcome']>
type Repository = NonNullable<Outcome['repository']>
type Worktree = NonNullable<Outcome['worktree']>

const SHOWN_CHARACTERS = 12

interface Props {
  readonly executionId: string
  readonly outcome: Outcome
}

/** What a run has left in git: commits of a checkout and where they went, or a worktree. */
export const GitResult = ({ executionId, outcome: { repository, worktree } }: Props) => (
  <>
    {repository && <RepositoryResult executionId={executionId} repository={repository} />}
    {worktree && <WorktreeResult worktree={worktree} />}
  </>
)

function RepositoryResult({ executionId, repository }: { executionId: string; repository: Repository }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const { url, branch, baseCommit, headCommit, commits, filesChanged, insertions, deletions } = repository
  const { pushed, pushError, notCommitted = [] } = repository
  const download = (name: string, read: () => Promise<Uint8Array>): void =>
    void run(async () => saveBlob(name, new Blob([(await read()).slice()])))
  return (
    <section className="card" aria-label="Repository">
      <h2>Repository</h2>
      <dl className="facts-list">
        <Fact name="From">{url}</Fact>
        <Fact name="Branch">
          <code>{branch}</code>
        </Fact>
        <Fact name="Base commit">
          <Commit id={baseCommit} />
        </Fact>
        <Fact name="Head commit">
          {headCommit === baseCommit ? 'nothing was committed' : <Commit id={headCommit} />}
        </Fact>
        <Fact name="Changes">
          {plural(commits, 'commit')}, {plural(filesChanged, 'file')}, {insertions.toLocaleString('en')} lines added,{' '}
          {deletions.toLocaleString('en')} removed
        </Fact>
        <Fact name="Pushed">{pushed ? 'yes' : pushError ? 'no, it failed' : 'no'}</Fact>
      </dl>
      {pushError && (
        <p className="alert">
          <strong>{pushError.code}</strong> {pushError.message}
        </p>
      )}
      {notCommitted.length > 0 && (
        <p className="note warn">
          Changed, but in no commit (a repository or submodule inside): {notCommitted.join(', ')}
        </p>
      )}
      <Fault error={error} />
      {commits > 0 && (
        <>
          <div className="actions">
            <button
              className="button small"
              disabled={isBusy}
              onClick={() => download(`${executionId}.patch`, () => client.commits(executionId))}
            >
              Download patch
            </button>
            <button
              className="button small"
              disabled={isBusy}
              onClick={() => download(`${executionId}.bundle`, () => client.bundle(executionId))}
            >
              Download bundle
            </button>
          </div>
          <p className="hint">
            <code>git am {executionId}.patch</code> applies the patch;{' '}
            <code>
              git fetch {executionId}.bundle {branch}
            </code>{' '}
            reads the same commits from the bundle.
          </p>
        </>
      )}
    </section>
  )
}

const WorktreeResult = ({ worktree }: { readonly worktree: Worktree }) => {
  const { branch, baseCommit, headCommit, headBranch, commits, uncommitted, uncommittedFiles = [], message } = worktree
  return (
    <section className="card" aria-label="Worktree">
      <h2>Worktree</h2>
      <p>{message}</p>
      <dl className="facts-list">
        <Fact name="Branch">
          <code>{headBranch ?? branch}</code>
        </Fact>
        <Fact name="Base commit">
          <Commit id={baseCommit} />
        </Fact>
        {headCommit !== undefined && (
          <Fact name="Head commit">{headCommit === baseCommit ? 'as it began' : <Commit id={headCommit} />}</Fact>
        )}
        {commits !== undefined && <Fact name="Commits">{commits.toLocaleString('en')}</Fact>}
        {uncommitted !== undefined && <Fact name="Not committed">{plural(uncommitted, 'file')}</Fact>}
      </dl>
      {uncommittedFiles.length > 0 && <p className="muted pre-wrap">{uncommittedFiles.join('\n')}</p>}
    </section>
  )
}

const plural = (count: number, noun: string): string => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`

const Fact = ({ name, children }: { readonly name: string; readonly children: ReactNode }) => (
  <>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </>
)

const Commit = ({ id }: { readonly id: string }) => (
  <>
    <code title={id}>{id.slice(0, SHOWN_CHARACTERS)}</code> <CopyButton text={id} />
  </>
)
