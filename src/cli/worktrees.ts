/** Git worktrees of runs, on this machine: what lies in each, and taking them away. */
import { parseArgs } from 'node:util'
import { readConfig, type Config } from '../platform/config.js'
import { isDetachedAhead, isSaved, lookAtWorktree, type WorktreeState } from '../worktrees/look-at-worktree.js'
import { toLensGit } from '../worktrees/lens.js'
import { removeWorktree } from '../worktrees/remove-worktree.js'
import { listWorktreeRoots } from '../worktrees/worktree-roots.js'
import { listWorktrees, readWorktree, type WorktreeRecord } from '../worktrees/worktree-record.js'
import { EXIT_CODES, say, UsageError, type Command } from './command.js'

const look = async (worktree: WorktreeRecord, config: Config): Promise<WorktreeState | undefined> =>
  lookAtWorktree(worktree, {
    dataDir: config.dataDir,
    git: toLensGit(config),
    roots: await listWorktreeRoots(worktree, config),
  })

function describe(worktree: WorktreeRecord, state: WorktreeState | undefined): string {
  if (worktree.state === 'making') return 'not complete'
  if (!state) return 'git cannot tell what is in it'
  const commits = state.commits === 1 ? '1 commit' : `${state.commits} commits`
  const isLoose = isDetachedAhead(worktree, state)
  return `${commits}${isLoose ? ' on no branch' : ''}, ${state.uncommitted.length} uncommitted`
}

async function list(config: Config, isJson: boolean): Promise<number> {
  for (const worktree of await listWorktrees(config)) {
    const state = await look(worktree, config)
    const { id, repository, workspace, branch, ref, base, createdAt, usedBy } = worktree
    if (isJson) {
      const known = { id, repository, folder: workspace, branch, ref, baseCommit: base, createdAt, usedBy }
      const seen = { headCommit: state?.head, commits: state?.commits, uncommitted: state?.uncommitted }
      process.stdout.write(`${JSON.stringify({ ...known, ...seen })}\n`)
      continue
    }
    const use = usedBy === undefined ? '' : `, in use by ${usedBy}`
    process.stdout.write(
      `${id}  ${branch}  ${describe(worktree, state)}${use}\n  ${workspace}\n  of ${repository}, from ${ref}\n`,
    )
  }
  return EXIT_CODES.succeeded
}

async function remove(config: Config, id: string, isForced: boolean): Promise<boolean> {
  // An id is the name of a folder of ours, and of nothing else.
  const worktree = /^[\w-]+$/.test(id) ? await readWorktree(id, config) : undefined
  if (!worktree) {
    say(`there is no worktree ${id} on this machine; cc-executor worktrees list shows them`)
    return false
  }
  const state = await look(worktree, config)
  const isKept = worktree.state === 'ready' && !isSaved(worktree, state)
  const why = [
    ...(worktree.usedBy === undefined ? [] : [`${worktree.usedBy} works in it, or its worker died`]),
    ...(isKept ? [describe(worktree, state)] : []),
  ]
  if (why.length > 0 && !isForced) {
    say(
      `${id} was not removed: ${why.join('; ')}. --force removes it with what is in no branch (${worktree.workspace})`,
    )
    return false
  }
  await removeWorktree(worktree, config)
  const branch = state && state.commits === 0 ? '' : `; its branch ${worktree.branch} stays in ${worktree.repository}`
  process.stdout.write(`removed  ${id}${branch}\n`)
  return true
}

export const worktrees: Command = {
  summary: ['worktrees [list | remove <id>]', 'git worktrees that runs were given on this machine'],
  usage: `Usage: cc-executor worktrees [list [--json]]
       cc-executor worktrees remove <id>… [--force]

Lists the git worktrees of runs (run --worktree REF) on the worker's machine: execution, branch, commits since it began,
files that are in no commit, folder, and the repository. Requires the data folder of the service (CC_EXECUTOR_DATA_DIR).
A worktree is removed with its execution, unless something in it is in no branch; then only this command removes it.

  --json                          one JSON object a line
  --force                         also removes what is in no branch, and one that seems to be in use`,
  async run(args) {
    const options = { json: { type: 'boolean' }, force: { type: 'boolean' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const [what = 'list', ...ids] = positionals
    const config = readConfig()
    if (what === 'list' && ids.length === 0 && !values.force) return list(config, values.json === true)
    if (what !== 'remove' || ids.length === 0 || values.json)
      throw new UsageError('expected list, or remove with the id of a worktree')
    let isDone = true
    for (const id of ids) isDone = (await remove(config, id, values.force === true)) && isDone
    return isDone ? EXIT_CODES.succeeded : EXIT_CODES.failed
  },
}
