// Runs on a repository: what they get, what comes back, what is pushed.
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { openCommandLine } from '../support/command-line.js'
import { openTestService } from '../support/service.js'
import { commands, commitFiles, git, makeRepository } from './scene.js'

/** Each run starts the real CLI, which takes half a second of a core. */
const skip = process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : false
const folder = await realpath(await mkdtemp(join(tmpdir(), 'cce-repositories-')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const work = at('origin-work')
const base = await makeRepository(work, {
  'README.md': 'hello\n',
  'src/a.txt': 'one\ntwo\nthree\n',
  'old name.txt': 'x\n',
})
await git(work, 'tag', '-a', '-m', 'v1', 'v1')
const TAKEN = 'taken/by-others'
await git(work, 'checkout', '-qb', TAKEN)
const tip = await commitFiles(work, { 'theirs.txt': 'theirs\n' }, 'theirs')
await git(work, 'checkout', '-q', 'main')
await git(folder, 'clone', '-q', '--bare', work, at('origin.git'))
const origin = at('origin.git')

const service = await openTestService(t, {
  env: {
    CC_EXECUTOR_ALLOWED_ROOTS: folder,
    CC_EXECUTOR_REPOSITORIES: `${folder}/*.git,${folder}/origin-work`,
    CC_EXECUTOR_GIT_IDENTITY: 'The Operator <operator@example.org>',
    CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: 'true',
    CC_EXECUTOR_PERMISSION_MODE: 'bypassPermissions',
  },
})
const run = async (prompt: string, repository: object | undefined, more: object = {}): Promise<Execution> =>
  service.finished((await service.submit({ prompt, repository, ...more })).id)
const patchOf = async ({ id }: Execution): Promise<string> =>
  (await service.call('GET', `/executions/${id}/patch`)).text

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
  t.equal(
    await git(origin, 'log', '-1', '--format=%an <%ae> %cn', head),
    'The Operator <operator@example.org> The Operator',
  )
  const { body } = await service.call('GET', `/executions/${execution.id}/events`)
  const started = body.events.find(({ type }: { type: string }) => type === 'execution.started')
  t.match(started.data.repository, { url: origin, ref: 'main', baseCommit: base })
  const receipt = (await service.call('GET', `/executions/${execution.id}/receipt`)).body
  t.match(receipt.repository, {
    baseCommit: base,
    headCommit: head,
    tree: await git(origin, 'rev-parse', `${head}^{tree}`),
  })

  const clone = at('clone')
  await git(folder, 'clone', '-q', work, clone)
  await writeFile(at('x.patch'), await patchOf(execution))
  await git(clone, 'am', '-q', at('x.patch'))
  t.equal(await git(clone, 'rev-parse', 'HEAD^{tree}'), repository?.tree)
})

const runCommand = openCommandLine(t)

void t.test(
  'the command line says where it works, pushes the named branch, and prints what was committed',
  async (t) => {
    const env = {
      CC_EXECUTOR_URL: service.url(),
      CC_EXECUTOR_TOKEN: service.token,
      CC_EXECUTOR_DATA_DIR: at('elsewhere'),
    }
    const flags = ['--repo', origin, '--ref', 'main', '--branch', 'fix/cli', '--push']
    const ran = await runCommand(['run', ...flags, commands('echo cli > by-cli.txt')], env)
    t.equal(ran.code, 0, ran.stderr)
    const [, id = ''] = /working in a checkout of \S+origin\.git; .*patch ([0-9a-f-]{36}) prints/.exec(ran.stderr) ?? []
    t.equal(await git(origin, 'show', 'fix/cli:by-cli.txt'), 'cli')
    const patch = await runCommand(['patch', id], env)
    t.match(patch, { code: 0, stdout: /^From [0-9a-f]{40} [^]*\+cli\n/ })
  },
)

void t.test('every kind of change comes back, and the patch applies with git am and git apply', async (t) => {
  const odd = 'odd "q" \\t ü \t.txt'
  const execution = await run(
    commands(
      [
        'printf "a\\0b\\377" > bin.dat',
        'ln -s src/a.txt link',
        'chmod +x README.md',
        `printf 'x\\n' > '${odd}'`,
        "printf 'crlf\\r\\nlines\\r\\n' > crlf.txt",
        'git mv "old name.txt" "sub dir moved.txt"',
        'rm src/a.txt; mkdir src/a.txt; echo in > src/a.txt/inner',
        'printf "no newline" > end.txt',
        'mkfifo pipe; mkdir empty; git init -q nested; echo n > nested/file',
        'printf "*.log\\n" > .gitignore; echo skipped > x.log',
      ].join('; '),
    ),
    { url: work, ref: 'v1', branch: 'every/kind' },
  )
  const { repository } = execution.outcome ?? {}
  t.match(
    repository,
    { commits: 1, pushed: false, branch: 'every/kind', notCommitted: ['nested/'] },
    JSON.stringify(execution),
  )
  const patch = Buffer.from(
    await (
      await fetch(`${service.url()}/executions/${execution.id}/patch`, {
        headers: { authorization: `Bearer ${service.token}` },
      })
    ).arrayBuffer(),
  )
  await writeFile(at('kinds.patch'), patch)
  for (const how of ['am', 'apply'] as const) {
    const clone = at(`kinds-${how}`)
    await git(folder, 'clone', '-q', work, clone)
    if (how === 'am') await git(clone, 'am', '-q', at('kinds.patch'))
    else await git(clone, 'apply', '--index', at('kinds.patch'))
    t.equal(await git(clone, 'write-tree'), repository?.tree, how)
  }
  const listed = await git(at('kinds-am'), 'ls-files', '-s', '-z')
  for (const part of ['120000', '100755', odd, 'src/a.txt/inner']) t.ok(listed.includes(part), part)
  for (const part of ['x.log', 'pipe', 'nested']) t.notOk(listed.includes(part), part)

  const bundle = await fetch(`${service.url()}/executions/${execution.id}/bundle`, {
    headers: { authorization: `Bearer ${service.token}` },
  })
  t.equal(bundle.headers.get('content-type'), 'application/x-git-bundle')
  await writeFile(at('kinds.bundle'), Buffer.from(await bundle.arrayBuffer()))
  await git(at('kinds-am'), 'fetch', '-q', at('kinds.bundle'), 'every/kind:from-bundle')
  t.equal(await git(at('kinds-am'), 'rev-parse', 'from-bundle'), repository?.headCommit)
})

void t.test('what the run commits itself is kept, and a merge is handed out as one commit', { skip }, async (t) => {
  const execution = await run(
    commands(
      [
        'git config user.name Agent; git config user.email agent@example.org',
        'git checkout -q -b side; echo s > side.txt; git add .; git commit -q -m "diff --git a/x b/x"',
        'git checkout -q -; echo m > main.txt; git add .; git commit -q -m main; git merge -q -m merge side',
        'echo left > left.txt',
      ].join(' && '),
    ),
    { url: origin, push: 'always', branch: 'own/commits' },
  )
  const { repository } = execution.outcome ?? {}
  t.match(repository, { commits: 4, filesChanged: 3, pushed: true }, JSON.stringify(execution.outcome))
  t.match(await git(origin, 'log', '--format=%an:%s', `${base}..own/commits`), 'Agent:merge')
  await writeFile(at('merge.patch'), await patchOf(execution))
  const clone = at('merged')
  await git(folder, 'clone', '-q', work, clone)
  await git(clone, 'am', '-q', at('merge.patch'))
  t.equal(await git(clone, 'rev-parse', 'HEAD^{tree}'), repository?.tree)
})

void t.test(
  'a run that destroys its .git, or rewrites history, still gives its files as one commit',
  { skip },
  async (t) => {
    const wrecked = await run(commands('rm -rf .git; ln -s /etc .git; echo new > new.txt'), { url: origin })
    t.match(
      wrecked.outcome?.repository,
      { baseCommit: base, commits: 1, filesChanged: 1 },
      JSON.stringify(wrecked.outcome),
    )
    const orphan = await run(
      commands(
        'git checkout -q --orphan other && git -c user.name=a -c user.email=a@b commit -q -m orphan; echo n > new.txt',
      ),
      { url: origin },
    )
    t.match(
      orphan.outcome?.repository,
      { baseCommit: base, commits: 1, filesChanged: 1 },
      JSON.stringify(orphan.outcome),
    )
  },
)

void t.test('a session goes on in the same checkout, on a .git that no run has written', async (t) => {
  const first = await run(
    commands('echo 1 > one.txt; printf "#!/bin/sh\\ntouch ../hooked\\n" > .git/hooks-x; git config core.hooksPath .'),
    { url: origin, branch: 'follow/up', push: 'verified' },
  )
  const head = first.outcome?.repository?.headCommit
  const second = await run(
    commands('cat one.txt; git config core.hooksPath; git status --short; echo 2 > two.txt'),
    undefined,
    {
      session: { resume: first.id },
    },
  )
  t.match(
    second.outcome?.repository,
    { baseCommit: head, branch: 'follow/up', commits: 1, filesChanged: 1, pushed: true },
    JSON.stringify(second.outcome),
  )
  t.equal(await git(origin, 'rev-parse', 'follow/up'), second.outcome?.repository?.headCommit)
  const asked = { text: commands('echo 3 > three.txt'), delivery: 'follow_up' }
  const { body } = await service.call('POST', `/executions/${first.id}/messages`, { body: asked })
  const third = await service.finished(body.followUpId)
  t.match(
    third.outcome?.repository,
    { baseCommit: second.outcome?.repository?.headCommit, pushed: true },
    JSON.stringify(third),
  )
})

void t.test('what may not be pushed is told, and nothing is forced', async (t) => {
  const other = await git(origin, 'commit-tree', `${base}^{tree}`, '-p', base, '-m', 'of somebody else')
  await git(origin, 'branch', 'moved/on', other)
  const moved = await run(commands('echo x > mine.txt'), {
    url: origin,
    ref: base,
    branch: 'moved/on',
    push: 'always',
  })
  t.match(
    moved.outcome?.repository,
    { pushed: false, pushError: { code: 'PUSH_REJECTED' } },
    JSON.stringify(moved.outcome),
  )
  t.match(moved, { status: 'succeeded' })

  await git(folder, 'clone', '-q', '--bare', work, at('strict.git'))
  await writeFile(at('strict.git/hooks/pre-receive'), '#!/bin/sh\necho "not on Mondays" >&2\nexit 1\n', { mode: 0o755 })
  const refused = await run(commands('echo x > mine.txt'), { url: at('strict.git'), push: 'always' })
  t.match(
    refused.outcome?.repository?.pushError,
    { code: 'PUSH_REJECTED', message: /not on Mondays/ },
    JSON.stringify(refused.outcome),
  )

  const unverified = await run(
    commands('echo x > mine.txt'),
    { url: origin, push: 'verified', branch: 'never/there' },
    { verify: { files: ['missing.txt'] } },
  )
  t.match(unverified.outcome, { code: 'VERIFICATION_FAILED', repository: { pushed: false, commits: 1 } })
  await t.rejects(git(origin, 'rev-parse', '--verify', 'never/there'))
})

void t.test('what is refused before and at the start', async (t) => {
  const refusal = async (body: object): Promise<object> =>
    (await service.call('POST', '/execute', { body: { prompt: 'x', ...body } })).body
  const NOT = { code: 'REPOSITORY_NOT_ALLOWED', status: 403 }
  t.match(await refusal({ repository: { url: at('other') } }), NOT)
  t.match(await refusal({ repository: { url: 'https://github.com/acme/shop' } }), NOT)
  t.match(await refusal({ repository: { url: `${folder}/../${origin}` } }), { code: 'INVALID_REQUEST' })
  t.match(await refusal({ repository: { url: 'https://user:secret@host/x' } }), { code: 'INVALID_REQUEST' })
  t.match(await refusal({ repository: { url: 'ext::sh -c id' } }), { code: 'INVALID_REQUEST' })
  t.match(await refusal({ repository: { url: origin, ref: '--upload-pack=x' } }), { code: 'INVALID_REQUEST' })
  t.match(await refusal({ repository: { url: origin }, workspace: 'w' }), { code: 'INVALID_REQUEST' })
  const session = { resume: '01a22d93-70c1-7000-8000-0a342e3299cf' }
  t.match(await refusal({ repository: { url: origin }, session }), { code: 'INVALID_REQUEST' })
  const command = `claude -p x --resume ${session.resume}`
  t.match(await refusal({ prompt: undefined, command, repository: { url: origin } }), { code: 'INVALID_REQUEST' })
  const missing = await run('x', { url: origin, ref: 'nowhere' })
  t.match(missing, { status: 'failed', outcome: { code: 'REPOSITORY_ERROR', message: /"nowhere"/ } })
  t.equal((await service.call('GET', `/executions/${missing.id}/patch`)).status, 404)
  const absent = await run('x', { url: at('absent.git') })
  t.match(absent.outcome, { code: 'REPOSITORY_ERROR' })
  const nothing = await run(commands('true'), { url: origin })
  t.match(nothing.outcome?.repository, { commits: 0, headCommit: base, pushed: false })
  t.match(await service.call('GET', `/executions/${nothing.id}/bundle`), { status: 410 })
  t.match(await service.call('GET', `/executions/${nothing.id}/patch`), { status: 200, text: '' })
  const rpc = await service.call('POST', '/execute', {
    body: { prompt: 'x', repository: { url: at('origin.git', 'sub') } },
  })
  t.match(rpc.body, NOT, '* ends where the list does')
})

void t.test('a default branch that changed, and a ref that moved, are seen by the next run', { skip }, async (t) => {
  await git(origin, 'symbolic-ref', 'HEAD', `refs/heads/${TAKEN}`)
  const other = await run(commands('true'), { url: origin, depth: 1 })
  t.match(other.outcome?.repository, { baseCommit: tip })
  await git(origin, 'symbolic-ref', 'HEAD', 'refs/heads/main')
  const moved = await commitFiles(work, { 'more.txt': 'more\n' }, 'second')
  await git(work, 'push', '-q', origin, 'main')
  const tasks = await service.finished(
    (
      await service.submit({
        tasks: [commands('echo 1 > t1'), commands('cat t1; echo 2 > t2')],
        repository: { url: origin },
      })
    ).id,
  )
  t.match(tasks, { status: 'succeeded' }, JSON.stringify(tasks.outcome))
  const [one, two] = await Promise.all(
    (tasks.tasks ?? []).map(async ({ id }) => (await service.call('GET', `/executions/${id}`)).body as Execution),
  )
  t.match(one?.outcome?.repository, { baseCommit: moved, commits: 1 })
  t.match(two?.outcome?.repository, { baseCommit: one?.outcome?.repository?.headCommit, commits: 1, filesChanged: 1 })
})
