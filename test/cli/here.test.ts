// A run in a folder of one's own: admitted once, by the user of the service, and taken back by its patch.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { addAdmitted, admissionId, withAdmitted, withdrawAdmitted } from '../../src/platform/admitted-folders.js'
import { proveLocal, readLocalSecret } from '../../src/platform/local-proof.js'
import { reversePatch } from '../../src/cli/reverse-patch.js'
import { listAdmissions } from '../../src/executions/submit/admit-folder.js'
import { toPatch } from '../../src/files/patch.js'
import type { AdmissionList } from '../../src/protocol/admission.js'
import type { Scope } from '../../src/protocol/caller.js'
import { isTerminal, type Execution } from '../../src/protocol/execution.js'
import { openCommandLine } from '../support/command-line.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { once, repeat, until } from '../support/deadlines.js'

const OTHER = 'the-token-of-somebody-else'
const MINE = 'the-token-of-this-test-here'
const service = await openTestService(t, {
  env: { CC_EXECUTOR_TOKENS: `mine=${MINE},other=${OTHER}:execute+read`, CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI },
})
const runCommand = openCommandLine(t)
const projects = join(service.directory, 'projects')
await mkdir(projects)

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const environmentOf = (token: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  CC_EXECUTOR_URL: service.url(),
  CC_EXECUTOR_TOKEN: token,
  CC_EXECUTOR_DATA_DIR: service.config.dataDir,
  ...more,
})

async function start(
  [file = '', ...args]: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  answers?: RegExp,
): Promise<Ran> {
  const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => void child.kill('SIGKILL'))
  const texts = { stdout: '', stderr: '' }
  if (!answers) child.stdin.end()
  let isAnswered = false
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] += chunk
      if (isAnswered || answers?.test(texts[name]) !== true) return
      isAnswered = true
      child.stdin.write('y\r')
    })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...texts }
}

const run = (args: readonly string[], cwd: string, env = environmentOf(MINE)): Promise<Ran> =>
  runCommand(args, env, '', cwd)
/** A prompt for the scripted CLI: what it does in its folder, and what it says then. */
const doing = (command: string, result = 'Done.'): string =>
  JSON.stringify([{ tool: command }, { line: { type: 'result', subtype: 'success', is_error: false, result } }])
const WRITE_HELLO = doing('echo "def greet(): pass" > hello.py')
const idOf = ({ stderr }: Ran): string => /undo ([0-9a-f-]{36})/.exec(stderr)?.[1] ?? ''
const makeFolder = async (name: string): Promise<string> => {
  const folder = join(projects, name)
  await mkdir(folder)
  return folder
}
const call = async (
  token: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = { prefer: 'wait=50' },
): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(service.url() + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

const endOf = ({ id }: Execution): Promise<Execution> =>
  repeat(async () => {
    const headers = { authorization: `Bearer ${MINE}` }
    const address = `${service.url()}/executions/${id}`
    await fetch(`${address}/events?types=execution.finished&waitSeconds=30`, { headers })
    const execution = (await (await fetch(address, { headers })).json()) as Execution
    return isTerminal(execution.status) ? execution : undefined
  }, `${id} ends`)

t.jobs = 4
void t.test('run --here works in this folder, after one yes, for this token alone; undo takes it back', async (t) => {
  const folder = await makeFolder('one')
  await writeFile(join(folder, 'mine.txt'), 'mine\n')
  const asked = await run(['run', '--here', WRITE_HELLO], folder)
  t.equal(asked.code, 2)
  t.match(asked.stderr, new RegExp(`is not allowed to work in ${folder} yet; --yes`), 'nobody is there to be asked')

  const ran = await run(['run', '--here', '--yes', WRITE_HELLO], folder)
  t.equal(ran.code, 0, ran.stderr)
  // Named as it is called from a checkout.
  t.match(ran.stderr, new RegExp(`working in ${folder}; node \\S+cli\\.js undo [0-9a-f-]{36} reverts its changes`))
  t.match(await readFile(join(folder, 'hello.py'), 'utf8'), /greet/)

  const request = { prompt: 'Say hello', workspace: folder }
  t.match(await call(OTHER, '/execute', request), { status: 403, body: { code: 'FORBIDDEN' } }, 'another token')
  t.match(await call(MINE, '/execute', { ...request, workspace: projects }), { status: 403 }, 'the folder above')
  const fresh = await run(['run', 'Say hello'], folder)
  t.match(fresh.stderr, /^cc-executor: working in a new folder, not in this one \(--here\)\nexecution /)

  const id = idOf(ran)
  await writeFile(join(folder, 'hello.py'), 'changed\n')
  const refused = await run(['undo', id], folder)
  t.equal(refused.code, 1)
  t.match(refused.stderr, /nothing was reverted in .*\n {2}hello\.py: it has changed since/)
  t.equal(await readFile(join(folder, 'hello.py'), 'utf8'), 'changed\n')
  await rm(join(folder, 'hello.py'))
  t.equal((await run(['run', '--workspace', '.', WRITE_HELLO], folder)).code, 0, 'it is asked once')
  const undone = await run(['undo', id], projects)
  t.equal(undone.code, 0, undone.stderr)
  t.equal(undone.stdout, 'removed   hello.py\n')
  await t.rejects(lstat(join(folder, 'hello.py')))
  t.equal(await readFile(join(folder, 'mine.txt'), 'utf8'), 'mine\n')
  const gone = await run(['undo', id], folder)
  t.match(gone.stderr, / {2}hello\.py: it has been deleted since/)

  const other = await makeFolder('moved')
  await rm(folder, { recursive: true })
  await symlink(other, folder)
  t.match(
    await call(MINE, '/execute', request),
    { body: { outcome: { code: 'WORKSPACE_ERROR', message: /symbolic link/ } } },
    'a link that came in its place is not admitted',
  )
})

void t.test(
  'an admission is listed and withdrawn by whose it is; what runs there then goes on to its end',
  async (t) => {
    const folder = await makeFolder('withdrawn')
    const go = join(folder, 'go')
    const waits = doing('echo > begun; until [ -e go ]; do sleep 0.1; done', 'It went on.')
    t.equal((await run(['run', '--here', '--yes', 'Say hello'], folder)).code, 0)
    const list = async (token: string) => {
      const answer = await fetch(`${service.url()}/workspaces/admissions`, {
        headers: { authorization: `Bearer ${token}` },
      })
      return ((await answer.json()) as AdmissionList).admissions
    }
    const withdraw = async (token: string, id: string): Promise<number> =>
      (
        await fetch(`${service.url()}/workspaces/admissions/${id}`, {
          method: 'DELETE',
          headers: { authorization: `Bearer ${token}` },
        })
      ).status
    const [mine] = (await list(MINE)).filter((one) => one.folder === folder)
    t.match(mine, { token: 'mine', admittedAt: /^\d{4}-/ })
    t.same(await list(OTHER), [])
    t.equal(await withdraw(OTHER, mine?.id ?? ''), 404, 'another token has not even the id')
    t.match((await run(['workspaces'], projects)).stdout, `${mine?.admittedAt}  ${folder}\n`)

    const request = { prompt: waits, workspace: folder, allowedTools: ['Bash'] }
    const running = (await call(MINE, '/execute', request, {})).body as Execution
    await until(() => existsSync(join(folder, 'begun')), 'it runs')
    // One after the other in one workspace: this one has not begun.
    const queued = (await call(MINE, '/execute', { ...request, prompt: 'Say hello' }, {})).body as Execution
    const withdrawn = await run(['workspaces', '--withdraw', '.'], folder)
    t.match(withdrawn, { code: 0, stdout: `withdrawn  ${folder}\n` })
    t.match(
      await call(MINE, '/execute', request),
      { status: 403, body: { code: 'FORBIDDEN', errors: [{ message: 'not inside an allowed root' }] } },
      'the next one is refused',
    )
    await writeFile(go, '')
    t.match(await endOf(running), { status: 'succeeded', outcome: { result: 'It went on.' } })
    t.match(await endOf(queued), { status: 'failed', outcome: { code: 'FORBIDDEN' } })
    t.equal(await withdraw(MINE, mine?.id ?? ''), 404, 'it is withdrawn once')
    const unknown = await run(['workspaces', '--withdraw', folder], projects)
    t.match([unknown.code, unknown.stderr], [1, /is not allowed; .*workspaces lists those that are/])
    t.equal((await run(['run', '--here', '--yes', 'Say hello'], folder)).code, 0, 'and admitted anew by a new yes')
    t.equal((await list(MINE)).find((one) => one.folder === folder)?.id, mine?.id)
  },
)

void t.test('undo restores to the byte what was modified and deleted, and names what it cannot', async (t) => {
  const folder = await makeFolder('two')
  const script = join(folder, 'a script.sh')
  const latin = Buffer.from('caf\xe9 one\r\nlast line', 'latin1')
  await writeFile(script, latin)
  await chmod(script, 0o755)
  await writeFile(join(folder, 'gone.txt'), 'gone\n')
  await writeFile(join(folder, 'empty'), '')
  const command = `printf 'new\\nlast line\\n' > 'a script.sh'; chmod 644 'a script.sh'; rm gone.txt empty; mkdir sub; echo x > sub/new`
  const ran = await run(['run', '--here', '-y', '--allowed-tools', 'Bash', doing(command)], folder)
  t.equal(ran.code, 0, ran.stderr)
  t.equal(await readFile(script, 'utf8'), 'new\nlast line\n')
  const undone = await run(['undo', idOf(ran)], folder)
  t.equal(undone.code, 0, undone.stderr)
  t.ok(latin.equals(await readFile(script)))
  t.equal((await lstat(script)).mode & 0o777, 0o755)
  t.equal(await readFile(join(folder, 'gone.txt'), 'utf8'), 'gone\n')
  t.equal(await readFile(join(folder, 'empty'), 'utf8'), '')
  await t.rejects(lstat(join(folder, 'sub/new')))

  await writeFile(join(folder, 'large'), 'x'.repeat(300_000))
  const change = doing('echo x > large; echo y >> gone.txt; ln -s gone.txt link')
  const second = await run(['run', '--here', '--allowed-tools', 'Bash', change], folder)
  const refused = await run(['undo', idOf(second)], folder)
  t.equal(refused.code, 1)
  t.match(refused.stderr, / {2}large: the patch does not contain its former content/)
  t.match(refused.stderr, / {2}link: it is not a regular file/)
  t.equal(await readFile(join(folder, 'gone.txt'), 'utf8'), 'gone\ny\n', 'and nothing is done')
})

void t.test('any patch of a text leads back', (t) => {
  const texts = [
    '',
    'a\n',
    'a',
    'a\nb\nc\n',
    '\n\n',
    'b\nc\nd\ne\nf\ng\nh\ni\nj\nk',
    'x\nb\nc\nd\ne\nf\ng\nh\ni\nj\ny\n',
    '-a\n+b\n\\c\n',
    '\0',
    Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join(''),
    'literal 3\n\0GIT binary patch\n',
  ]
  for (const before of texts)
    for (const after of texts) {
      const state = (text: string) => ({ bytes: Buffer.from(text, 'latin1'), mode: 0o644 })
      const patch = toPatch('f', state(before), state(after)).toString('latin1')
      t.equal(reversePatch(patch, after).before, before, JSON.stringify([before, after]))
      if (before !== after && after !== '' && patch.includes('@@'))
        t.equal(reversePatch(patch, `${after}more`).before === before, false)
    }
  t.end()
})

void t.test(
  'a folder is admitted by whoever has the secret of the data folder, and never one of the service’s own',
  async (t) => {
    const folder = await makeFolder('three')
    const { dev, ino } = await lstat(folder, { bigint: true })
    const secret = (await readLocalSecret(service.config.dataDir)) ?? ''
    t.not(secret, '')
    t.equal((await lstat(join(service.config.dataDir, 'local-secret'))).mode & 0o777, 0o600)
    const toClaim = () => ({ folder, device: String(dev), inode: String(ino), issuedAt: Date.now() })
    type Changed = Partial<ReturnType<typeof toClaim>>
    const admit = (changed: Changed, key = secret, signed: Changed = changed) => {
      const claim = toClaim()
      const proof = proveLocal(key, { ...claim, ...signed })
      return call(MINE, '/workspaces/admissions', { ...claim, ...changed, proof })
    }
    const FORBIDDEN = { status: 403, body: { code: 'FORBIDDEN' } }
    t.match(await admit({}, 'guessed'), FORBIDDEN, 'a token alone')
    t.match(await admit({ folder: projects }, secret, {}), FORBIDDEN, 'the proof of another folder')
    t.match(await admit({ issuedAt: Date.now() - 61_000 }), FORBIDDEN, 'an old proof')
    t.match(await admit({ inode: '1' }), { status: 400 }, 'another folder than the service sees')
    t.match(await admit({ folder: join(folder, 'nowhere') }), { status: 400 })
    await symlink(folder, join(projects, 'link'))
    t.match(await admit({ folder: join(projects, 'link') }), { status: 400 }, 'a link')
    for (const own of [service.config.dataDir, service.config.workspaceRoot, service.directory, '/']) {
      await mkdir(own, { recursive: true })
      const state = await lstat(own, { bigint: true })
      const claimed = { folder: own, device: String(state.dev), inode: String(state.ino) }
      t.match(await admit(claimed), FORBIDDEN, own)
    }
    t.match(await admit({}), { status: 200, body: { folder, token: 'mine' } })

    const off = await service.openApi({ CC_EXECUTOR_ALLOW_HERE: 'false' })
    const env = environmentOf(MINE, { CC_EXECUTOR_URL: off.url })
    const refused = await run(['run', '--here', '--yes', 'Say hello'], folder, env)
    t.equal(refused.code, 1)
    t.match(refused.stderr, /CC_EXECUTOR_ALLOW_HERE=false/)

    const elsewhere = environmentOf(MINE, { CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere') })
    const four = await makeFolder('four')
    t.match((await run(['run', '--here', '--yes', 'Say hello'], four, elsewhere)).stderr, /local-secret/)
  },
)

void t.test('on a terminal it asks once, clearly', async (t) => {
  const folder = await makeFolder('five')
  const command = `${process.execPath} ${CLI} run --here 'Say hello'`
  const ran = await start(
    ['script', '-qec', command, '/dev/null'],
    folder,
    environmentOf(MINE),
    /from now on\? \[y\/N\]/,
  )
  t.equal(ran.code, 0, ran.stdout)
  t.match(ran.stdout, `Allow runs of this token to read and change files in and below ${folder}, from now on? [y/N]`)
  t.match(ran.stdout, `working in ${folder}`)
})

void t.test('allowed folders are listed by pages, also past one that is withdrawn meanwhile', async (t) => {
  const dataDir = t.testdir({})
  const caller = { id: 'mine', name: 'mine', scopes: new Set<Scope>(['execute']) }
  // Two of them at the same moment.
  for (const [index, folder] of ['/a', '/b', '/c', '/d', '/e'].entries())
    await addAdmitted(dataDir, { token: 'mine', folder, admittedAt: new Date(Math.floor(index / 2)).toISOString() })
  await addAdmitted(dataDir, { token: 'other', folder: '/f', admittedAt: new Date().toISOString() })
  const page = (cursor?: string) => listAdmissions({ config: { dataDir } }, { limit: 2, cursor }, caller)
  const first = await page()
  t.same([first.admissions[0]?.folder, first.admissions.length], ['/e', 2])
  t.ok(await withdrawAdmitted(dataDir, 'mine', first.admissions[1]?.id ?? ''))
  const second = await page(first.nextCursor ?? '')
  const third = await page(second.nextCursor ?? '')
  t.equal(third.nextCursor, null)
  const folders = [first, second, third].flatMap(({ admissions }) => admissions.map(({ folder }) => folder))
  t.same(folders.toSorted(), ['/a', '/b', '/c', '/d', '/e'])
})

void t.test(
  'what is withdrawn or not a line of the file admits nothing, and another token’s line neither',
  async (t) => {
    const dataDir = t.testdir({})
    const of = (token: string, workspace: string, allowHere = true) =>
      withAdmitted({ dataDir, allowHere }, token, workspace).then(({ admittedFolders }) => admittedFolders)
    t.same(await of('mine', '/a'), [])
    const entry = { token: 'mine', folder: '/a', admittedAt: '2026-11-29T22:00:00.000Z' }
    t.same(await addAdmitted(dataDir, entry), entry)
    t.same(await addAdmitted(dataDir, { ...entry, admittedAt: 'later' }), entry, 'once')
    t.same(await of('mine', '/a'), ['/a'])
    t.same(await of('other', '/a'), [])
    t.equal(await withdrawAdmitted(dataDir, 'other', admissionId(entry)), false)
    t.equal(await withdrawAdmitted(dataDir, 'mine', admissionId(entry)), true)
    t.same(await of('mine', '/a'), [])
    t.same(await addAdmitted(dataDir, entry), entry)
    t.same(await of('mine', '/a'), ['/a'], 'the last line counts')
    t.same(await of('mine', '/a', false), [], 'switched off, what was admitted before does not count')
    const turns = Array.from({ length: 5_000 }, () => [entry, { token: 'mine', folder: '/a', withdrawnAt: 'then' }])
    await writeFile(
      join(dataDir, 'admitted-folders'),
      `${turns
        .flat()
        .map((line) => JSON.stringify(line))
        .join('\n')}\n`,
    )
    const both = ['/a', '/b'].map((folder) => ({ ...entry, folder }))
    t.same(await Promise.all(both.map((one) => addAdmitted(dataDir, one))), both, 'withdrawn ones fill no file')
    t.same(await of('mine', '/a'), ['/a', '/b'])
    t.same(await readdir(dataDir), ['admitted-folders'], 'nothing is left of the lock')
    await writeFile(join(dataDir, 'admitted-folders'), '/b\n{"token":"mine","folder":7}\n\n')
    t.same(await of('mine', '/a'), [])
  },
)
