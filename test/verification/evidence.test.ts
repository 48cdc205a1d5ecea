// What the server itself sees of a run: manifests on any kind of folder, and claims held against them with the real
// CLI.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Execution, Outcome } from '../../src/protocol/execution.js'
import { compareManifests, summarizeManifest } from '../../src/verification/compare-manifests.js'
import { readGitHead } from '../../src/verification/git-head.js'
import { limitsOf } from '../../src/verification/verify-files.js'
import { verifyReceipt } from '../../src/verification/verify-receipt.js'
import { takeManifest, type Manifest, type ManifestLimits } from '../../src/verification/manifest.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService, type TestService } from '../support/service.js'
import { repeat } from '../support/deadlines.js'

const MIB = 1024 * 1024
const LIMITS: ManifestLimits = {
  ignored: ['.git', 'node_modules'],
  maxEntries: 10_000,
  maxFileBytes: 4 * MIB,
  maxBytes: 64 * MIB,
  maxMs: 600_000,
}
const TOKENS = 'ops=an-operators-token,ci=a-callers-own-token:execute+read'
/** Where Claude itself is not what is looked at. */
const quick = await openTestService(t, { env: { CC_EXECUTOR_TOKENS: TOKENS, CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
const service = await openTestService(t, { env: { CC_EXECUTOR_TOKENS: TOKENS } })
const headers = { authorization: 'Bearer an-operators-token' }

async function openFolder(t: { teardown(fn: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cce-manifest-'))
  // Node's own rm gives up at paths longer than PATH_MAX.
  t.teardown(async () => void execFileSync('rm', ['-rf', folder]))
  return folder
}

const entryOf = ({ entries }: Manifest, path: string) => entries.find((entry) => entry.path === path)

void t.test(
  'a manifest hangs on nothing that may lie in a folder, and says what it did not read',
  { timeout: 600_000 },
  async (t) => {
    const folder = await openFolder(t)
    await mkdir(join(folder, 'deep/er/.git'), { recursive: true })
    await writeFile(join(folder, 'a.txt'), 'hello')
    await writeFile(join(folder, 'deep/er/b.txt'), '')
    await writeFile(join(folder, 'deep/er/.git/HEAD'), 'ref')
    await writeFile(join(folder, 'huge.bin'), '')
    await truncate(join(folder, 'huge.bin'), 1024 ** 4)
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await symlink('loop', join(folder, 'loop'))
    await symlink('..', join(folder, 'deep/up'))
    await symlink('/dev/zero', join(folder, 'zero'))
    const isRoot = process.getuid?.() === 0
    if (isRoot) execFileSync('mknod', [join(folder, 'device'), 'c', '1', '5'])
    await writeFile(join(folder, 'secret'), 'x')
    await chmod(join(folder, 'secret'), 0)
    await mkdir(join(folder, 'closed'))
    await chmod(join(folder, 'closed'), 0)
    execFileSync('bash', [
      '-c',
      `cd ${folder}; for i in $(seq 60); do mkdir ${'d'.repeat(100)}; cd ${'d'.repeat(100)}; done; ` +
        `touch "$(printf 'bad\\xff')" 2>/dev/null; true`,
    ])
    const manifest = await takeManifest(folder, LIMITS)
    t.match(entryOf(manifest, 'a.txt'), {
      kind: 'file',
      size: 5,
      sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    })
    t.match(entryOf(manifest, 'huge.bin'), { kind: 'file', size: 1024 ** 4, sha256: undefined })
    t.match(entryOf(manifest, 'pipe'), { kind: 'other' })
    if (isRoot) t.match(entryOf(manifest, 'device'), { kind: 'other' })
    for (const link of ['loop', 'deep/up', 'zero']) t.equal(entryOf(manifest, link)?.kind, 'link', link)
    t.equal(entryOf(manifest, 'deep/er/.git/HEAD'), undefined, 'ignored')
    t.ok(entryOf(manifest, 'secret'), 'whether it can be read or not')
    t.equal(summarizeManifest(manifest).unhashed, isRoot ? 1 : 2)
    await chmod(join(folder, 'closed'), 0o700)

    t.match(await takeManifest(folder, { ...LIMITS, maxEntries: 3 }), { incomplete: /more than 3 entries/ })
    t.match(await takeManifest(folder, { ...LIMITS, maxMs: 0 }), { incomplete: /longer than 0 ms/ })
    t.match(await takeManifest(join(folder, 'nowhere'), LIMITS), { entries: [], incomplete: /cannot be read/ })
  },
)

void t.test('HEAD is read from plain files, as git itself would say it, and from nothing else', async (t) => {
  const folder = await openFolder(t)
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      env: { PATH: process.env['PATH'], HOME: folder },
    })
      .toString()
      .trim()
  t.equal(readGitHead(folder), undefined, 'no repository')
  git('init', '-q', '-b', 'feat/ü')
  t.same(readGitHead(folder), { ref: 'refs/heads/feat/ü' }, 'no commit yet')
  git('commit', '-q', '--allow-empty', '-m', 'one')
  const commit = git('rev-parse', 'HEAD')
  t.same(readGitHead(folder), { ref: 'refs/heads/feat/ü', commit })
  git('pack-refs', '--all')
  t.same(readGitHead(folder), { ref: 'refs/heads/feat/ü', commit }, 'packed')
  git('checkout', '-q', '--detach')
  t.same(readGitHead(folder), { commit })

  const head = join(folder, '.git/HEAD')
  await writeFile(join(folder, 'outside'), 'a'.repeat(40))
  for (const text of [
    'ref: refs/../../outside',
    'ref: ../outside',
    'ref: refs/heads/a\u0007b',
    'x'.repeat(5_000),
    '',
  ]) {
    await writeFile(head, text)
    t.equal(readGitHead(folder), undefined, JSON.stringify(text.slice(0, 30)))
  }
  await rm(head)
  execFileSync('mkfifo', [head])
  t.equal(readGitHead(folder), undefined, 'a fifo')
  await rm(head)
  await symlink('../outside', head)
  t.equal(readGitHead(folder), undefined, 'a link')
  await rm(head)
  await mkdir(head)
  t.equal(readGitHead(folder), undefined, 'a folder')
  await rename(join(folder, '.git'), join(folder, 'elsewhere'))
  await symlink('elsewhere', join(folder, '.git'))
  t.equal(readGitHead(folder), undefined, 'a repository that is a link')
})

void t.test('what changed is found by content; what was not touched is not read again', async (t) => {
  const folder = await openFolder(t)
  const file = (name: string): string => join(folder, name)
  for (const name of ['same', 'touched', 'changed', 'sly', 'deleted', 'mode'])
    await writeFile(file(name), `${name} content`)
  const long = new Date('2020-01-01')
  await utimes(file('sly'), long, long)
  // Older than the steps in which file systems keep time.
  await new Promise((resolve) => setTimeout(resolve, 60))
  const before = await takeManifest(folder, LIMITS)
  await writeFile(file('touched'), 'touched content')
  await writeFile(file('changed'), 'changed contenT')
  await writeFile(file('sly'), 'sly CONTENT')
  await utimes(file('sly'), long, long)
  await rm(file('deleted'))
  await chmod(file('mode'), 0o755)
  await writeFile(file('created'), 'new')
  const after = await takeManifest(folder, LIMITS, before)
  t.same(
    compareManifests(before, after).map(({ path, change }) => `${change} ${path}`),
    ['modified changed', 'created created', 'deleted deleted', 'modified mode', 'modified sly'],
  )
  t.equal(
    after.hashedBytes,
    'touched content'.length + 'changed contenT'.length + 'sly CONTENT'.length + 'mode content'.length + 'new'.length,
  )
  const whole = await takeManifest(folder, LIMITS)
  t.equal(summarizeManifest(whole).digest, summarizeManifest(after).digest, 'the same as if all had been read')
  const copy = join(await openFolder(t), 'copy')
  execFileSync('cp', ['-rp', folder, copy])
  t.equal(
    summarizeManifest(await takeManifest(copy, LIMITS)).digest,
    summarizeManifest(after).digest,
    'and so has a copy',
  )
  await rename(file('same'), file('moved'))
  t.not(summarizeManifest(await takeManifest(folder, LIMITS)).digest, summarizeManifest(after).digest)
})

async function execute(at: TestService, prompt: string, more: Record<string, unknown>): Promise<Execution> {
  const { id } = await at.submit({ prompt, ...more }, headers)
  return repeat(async () => {
    await at.call('GET', `/executions/${id}/events?types=execution.finished&waitSeconds=30`, { headers })
    const execution: Execution = (await at.call('GET', `/executions/${id}`, { headers })).body
    return execution.finishedAt === undefined ? undefined : execution
  }, `${id} ends`)
}
const run = (steps: unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
  execute(service, scripted(...steps), more)

const SESSION = 'the-session-of-the-run'
const line = (message: object): unknown => ({
  recorded: `${JSON.stringify({ ...message, session_id: SESSION })}\n`,
  session: SESSION,
})
const BEGUN = line({ type: 'system', subtype: 'init', model: 'none', cwd: '/' })
const toTool = (command: string): unknown => ({ tool: command })
const toAnswer = (result: string, more: object = {}): unknown =>
  line({ type: 'result', subtype: 'success', is_error: false, result, num_turns: 1, usage: {}, ...more })
/** The same with the scripted CLI: what it does, then its answer. */
const script = (...steps: unknown[]): string => JSON.stringify([BEGUN, ...steps, { eof: true }])
const runScript = (steps: unknown[], more: Record<string, unknown> = {}): Promise<Execution> =>
  execute(quick, script(...steps), more)

const write = (name: string, content = 'x'): unknown => ({
  tool: 'Write',
  input: { file_path: `\${cwd}/${name}`, content },
})
const toClaim = (created: string[], modified: string[] = []): string =>
  JSON.stringify({ result: 'done', files_created: created, files_modified: modified, summary: 's' })
const statuses = ({ verification }: Outcome = { status: 'failed' }): Record<string, string> =>
  Object.fromEntries(verification?.checks.map(({ name, status }) => [name, status]) ?? [])
const detail = ({ outcome }: Execution, name: string): string =>
  outcome?.verification?.checks.find((check) => check.name === name)?.detail ?? ''

void t.test('an honest run passes, and its receipt says what it changed', async (t) => {
  const execution = await run([write('made.txt', 'hello'), { text: toClaim(['made.txt']) }], {
    verify: {
      files: ['made.txt'],
      commands: [
        ['grep', '-q', 'hello', 'made.txt'],
        ['test', '-f', 'made.txt'],
      ],
    },
  })
  t.equal(execution.status, 'succeeded', JSON.stringify(execution.outcome))
  t.equal(execution.outcome?.verification?.status, 'passed')
  t.same(statuses(execution.outcome), {
    process_exit: 'pass',
    session: 'pass',
    claimed_files_exist: 'pass',
    unclaimed_changes: 'skip',
    permissions: 'pass',
    tool_calls_recorded: 'pass',
    background_tasks: 'skip',
    finished: 'pass',
    required_files: 'pass',
    commands: 'pass',
  })
  const receipt = await service.call('GET', `/executions/${execution.id}/receipt`, { headers })
  t.match(receipt.body, {
    files: { created: 1, modified: 0, deleted: 0, changes: [{ path: 'made.txt', change: 'created', size: 5 }] },
    verification: execution.outcome?.verification,
  })
  t.ok((await service.call('POST', '/receipts/verify', { headers, body: { receipt: receipt.text } })).body.valid)
  const workspace = join(service.config.workspaceRoot, execution.id)
  const limits = limitsOf(receipt.body)
  t.ok(limits)
  const verify = async () =>
    verifyReceipt({
      receipt: receipt.text,
      keys: [],
      keysAreComplete: false,
      workspace: await takeManifest(workspace, limits ?? LIMITS),
    }).mismatches
  t.same(await verify(), [], 'the workspace is as it was')
  await writeFile(join(workspace, 'later.txt'), '')
  t.match(await verify(), [{ name: 'files.after.digest' }], 'something else is there')
  await writeFile(join(workspace, 'made.txt'), 'Hello')
  t.match(await verify(), [{ name: 'files.made.txt', detail: /differs from what the run left/ }])
  await rm(join(workspace, 'made.txt'))
  t.match(await verify(), [{ name: 'files.made.txt', detail: /is missing/ }])
  t.match(
    (
      await service.call('GET', `/executions/${execution.id}/receipt`, {
        headers: { ...headers, accept: 'text/markdown' },
      })
    ).text,
    /## Checks[^]*\| claimed_files_exist \| pass \|/,
  )
})

void t.test('where the workspace is a git repository the receipt tells HEAD before and after', async (t) => {
  const commands = [
    'git init -q -b main .',
    'git -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m one',
  ]
  const { id } = await run([{ tool: 'Bash', input: { command: commands.join(' && ') } }, { text: 'Committed.' }], {
    allowedTools: ['Bash'],
  })
  const { files } = (await service.call('GET', `/executions/${id}/receipt`, { headers })).body
  t.match(
    files.head,
    { before: undefined, after: { ref: 'refs/heads/main', commit: /^[0-9a-f]{40}$/ } },
    JSON.stringify(files.head),
  )
  t.match(
    (await service.call('GET', `/executions/${id}/receipt`, { headers: { ...headers, accept: 'text/markdown' } })).text,
    /^\| git HEAD \| none before, `refs\/heads\/main [0-9a-f]{40}` after \|$/m,
  )
})

void t.test('a claim that is not true, a missing file, a failing command: each fails by name', async (t) => {
  const make = toTool('echo x > made.txt')
  const liar = await runScript([make, toAnswer(toClaim(['made.txt', 'invented.txt']))], { verify: {} })
  t.match(liar.outcome, {
    status: 'failed',
    code: 'VERIFICATION_FAILED',
    message: /claimed_files_exist: .*missing: invented\.txt/,
    verification: { status: 'failed' },
  })
  t.equal(statuses(liar.outcome)['permissions'], 'pass')
  t.equal(statuses(liar.outcome)['session'], 'pass')

  const reported = await runScript([toTool('echo x > secret.txt'), toAnswer(toClaim([], ['old.txt']))])
  t.equal(reported.status, 'succeeded', 'without verify it is only told')
  t.match(statuses(reported.outcome), { claimed_files_exist: 'fail' })
  t.match(detail(reported, 'unclaimed_changes'), /secret\.txt/)

  const missing = await runScript([toAnswer('ok')], { verify: { files: ['report.md'] } })
  t.match(missing.outcome, {
    code: 'VERIFICATION_FAILED',
    message: /required_files: Missing: report\.md/,
    result: 'ok',
  })

  const failing = await runScript([make, toAnswer('ok')], {
    verify: {
      commands: [
        ['test', '-f', 'made.txt'],
        ['sh', '-c', 'echo no; exit 3'],
        ['touch', 'never'],
      ],
    },
  })
  t.match(failing.outcome, {
    code: 'VERIFICATION_FAILED',
    message: /commands: test exited with 0.*sh exited with 3 after \d+ ms with 3 bytes/,
  })
  t.match((await runScript([toAnswer('ok')], { verify: { commands: [['no-such-program']] } })).outcome, {
    code: 'VERIFICATION_FAILED',
    message: /no-such-program was not found/,
  })
})

void t.test(
  'in JSON mode a wrong uuid and a wrong answer fail by name; an honest answer is held against the workspace',
  async (t) => {
    const wrong = {
      result: 'done',
      files_created: [],
      files_modified: [],
      summary: 's',
      execution_uuid: '00000000-0000-7000-8000-000000000000',
    }
    const echo = await run(
      Array.from({ length: 5 }, () => ({ structured: wrong })),
      { json: true, maxRepairs: 0, verify: {} },
    )
    t.match(echo.outcome, { status: 'failed', code: 'OUTPUT_INVALID', verification: { status: 'failed' } })
    t.match(statuses(echo.outcome), { uuid_echo: 'fail', schema: 'fail' })
    const outputSchema = {
      type: 'object',
      properties: { files_created: { type: 'array', items: { type: 'string' } } },
      required: ['files_created'],
    }
    const honest = await run([write('made.txt'), { structured: { files_created: ['made.txt'] } }], {
      outputSchema,
      verify: {},
    })
    t.match([honest.status, statuses(honest.outcome)], ['succeeded', { schema: 'pass', claimed_files_exist: 'pass' }])
    t.equal(statuses(honest.outcome)['uuid_echo'], undefined, 'a schema of the caller’s asks for no uuid')
    const lie = toAnswer('', { structured_output: { files_created: ['made.txt'] } })
    const liar = await runScript([lie], { outputSchema, verify: {} })
    t.match(liar.outcome, { code: 'VERIFICATION_FAILED', result: { files_created: ['made.txt'] } })
    const receipt = await quick.call('GET', `/executions/${liar.id}/receipt`, { headers })
    t.ok((await quick.call('POST', '/receipts/verify', { headers, body: { receipt: receipt.text } })).body.valid)
  },
)

void t.test('an answer that cannot be said in canonical JSON is signed nevertheless', async (t) => {
  const odd = await runScript([toAnswer(JSON.stringify({ files_created: ['half \ud800 a pair'] }))], { verify: {} })
  t.match(odd.outcome, { code: 'VERIFICATION_FAILED' })
  const { text } = await quick.call('GET', `/executions/${odd.id}/receipt`, { headers })
  const events = (
    await quick.call('GET', `/executions/${odd.id}/events`, {
      headers: { ...headers, accept: 'application/x-ndjson' },
    })
  ).text
  t.same(
    (await quick.call('POST', '/receipts/verify', { headers, body: { receipt: text, events } })).body.mismatches,
    [],
  )
})

void t.test('a denied tool call and a run that was cut off fail by name', async (t) => {
  const denied = await run([{ tool: 'Bash', input: { command: 'touch /etc/x' } }, { text: 'done' }], { verify: {} })
  t.match(denied.outcome, { code: 'VERIFICATION_FAILED', message: /^permissions: 1 tool calls were denied/ })
  const cut = await run([{ text: 'I begin' }, { hangMs: 3_600_000 }], {
    timeoutSeconds: 2,
    verify: { commands: [['true']] },
  })
  t.match(
    cut.outcome,
    { status: 'timed_out', code: 'TIMED_OUT', verification: { status: 'failed' } },
    'its own cause stays',
  )
  t.match(statuses(cut.outcome), { process_exit: 'fail', commands: 'skip' })
})

void t.test(
  'commands run as the run did: contained, without credentials, within the time, and cancelled with it',
  async (t) => {
    const leftover = `sleep 31337.${process.pid}`
    const contained = await runScript([toAnswer('ok')], {
      verify: {
        commands: [
          [
            'sh',
            '-c',
            `(setsid ${leftover} &) ; ! env | grep -q ANTHROPIC && ! ls ${quick.config.dataDir}/receipt-keys 2>/dev/null`,
          ],
        ],
      },
    })
    t.equal(contained.status, 'succeeded', JSON.stringify(contained.outcome))
    t.throws(() => execFileSync('pgrep', ['-f', leftover]), 'nothing of it is left')
    // Long enough for a start on a busy machine.
    const slow =
      process.env['CC_EXECUTOR_TEST_ALL'] === '1' &&
      (await runScript([toAnswer('ok')], { timeoutSeconds: 10, verify: { commands: [['sleep', '60']] } }))
    if (slow)
      t.match(slow.outcome, { code: 'VERIFICATION_FAILED', message: /sleep was stopped: the time limit was reached/ })
    const { id } = (
      await quick.call('POST', '/execute', {
        headers,
        body: { prompt: script(toAnswer('ok')), verify: { commands: [['sleep', '60']] } },
      })
    ).body
    await repeat(async () => {
      const { body } = await quick.call('GET', `/executions/${id}/events?limit=1000`, { headers })
      if (JSON.stringify(body.events).includes('"type":"result"')) return true
      await quick.call('GET', `/executions/${id}/events?after=${body.nextAfter}&waitSeconds=5`, { headers })
      return undefined
    }, 'the CLI has given its result')
    await quick.call('POST', `/executions/${id}/cancel`, { headers })
    await quick.call('GET', `/executions/${id}/events?types=execution.finished&waitSeconds=30`, { headers })
    t.match((await quick.call('GET', `/executions/${id}`, { headers })).body.outcome, {
      status: 'cancelled',
      code: 'CANCELLED',
    })
  },
)

void t.test('commands need the admin scope; files must lie inside', async (t) => {
  const refuse = async (verify: unknown, token: string) =>
    (
      await quick.call('POST', '/execute', {
        headers: { authorization: `Bearer ${token}` },
        body: { prompt: 'x', verify },
      })
    ).body
  t.match(await refuse({ commands: [['true']] }, 'a-callers-own-token'), {
    status: 403,
    code: 'FORBIDDEN',
    errors: [{ path: 'verify.commands' }],
  })
  for (const path of ['/etc/passwd', '../x', 'a/../../x'])
    t.match(
      await refuse({ files: [path] }, 'an-operators-token'),
      { status: 400, errors: [{ path: 'verify.files[0]' }] },
      path,
    )
  t.match(await refuse({ uuid: true }, 'an-operators-token'), {
    status: 400,
    errors: [{ path: 'verify.uuid', message: 'unknown field' }],
  })
  t.match(
    (
      await quick.call('POST', '/execute', {
        headers: { authorization: 'Bearer a-callers-own-token' },
        body: { prompt: 'x', verify: { files: ['a'] } },
      })
    ).status,
    202,
  )
})
