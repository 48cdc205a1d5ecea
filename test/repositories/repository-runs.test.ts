// Runs on a repository: what they get, what comes back, what is pushed.
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { openTestService } from '../support/service.js'
import { commands, commitFiles, git, makeRepository } from './scene.js'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-repositories-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const work = at('origin-work')
const base = await makeRepository(work, { 'README.md': 'hello\n', 'src/a.txt': 'one\ntwo\nthree\n', 'old name.txt': 'x\n' })
await git(work, 'tag', '-a', '-m', 'v1', 'v1')
await git(folder, 'clone', '-q', '--bare', work, at('origin.git'))
const origin = at('origin.git')

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_ALLOWED_ROOTS: folder,
    CC_EXECUTOR_REPOSITORIES: `${folder}/*.git,${folder}/origin-work`,
    CC_EXECUTOR_GIT_IDENTITY: 'The Operator <operator@example.org>',
    CC_EXECUTOR_ALLOWED_TOOLS: 'Bash',
  },
})
const run = async (prompt: string, repository: object | undefined, more: object = {}): Promise<Execution> =>
  service.finished((await service.submit({ prompt, repository, ...more })).id)
const patchOf = async ({ id }: Execution): Promise<string> => (await service.call('GET', `/executions/${id}/patch`)).text

void t.test('a run gets exactly the ref, and its changes come back as a commit', async (t) => {
  const execution = await run(
    commands('git log --format=%H%n%D; git status --short; echo four >> src/a.txt; git mv "old name.txt" new.txt'),
    { url: origin, ref: 'main', push: 'verified' },
  )
  t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
  const { repository } = execution.outcome ?? {}
  t.match(repository, { baseCommit: base, commits: 1, filesChanged: 2, insertions: 1, deletions: 0, pushed: true })
  const head = repository?.headCommit ?? ''
  t.equal(await git(origin, 'rev-parse', `cc-executor/${execution.id}`), head)
  t.equal(await git(origin, 'log', '-1', '--format=%an <%ae> %cn', head), 'The Operator <operator@example.org> The Operator')
  const { body } = await service.call('GET', `/executions/${execution.id}/events`)
  const started = body.events.find(({ type }: { type: string }) => type === 'execution.started')
  t.match(started.data.repository, { url: origin, ref: 'main', baseCommit: base })
  const receipt = (await service.call('GET', `/executions/${execution.id}/receipt`)).body
  t.match(receipt.repository, { baseCommit: base, headCommit: head, tree: await git(origin, 'rev-parse', `${head}^{tree}`) })

  const clone = at('clone')
  await git(folder, 'clone', '-q', work, clone)
  await writeFile(at('x.patch'), await patchOf(execution))
  await git(clone, 'am', '-q', at('x.patch'))
  t.equal(await git(clone, 'rev-parse', 'HEAD^{tree}'), repository?.tree)
})
