// What a run left in its workspace, for clients that share no disk with its worker.
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Redis } from 'ioredis'
import t from 'tap'
import { redisOptions } from '../../src/platform/redis.js'
import { scripted } from '../support/environment.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { until } from '../support/deadlines.js'
import { LIMIT, find, openFiles, sha256 } from './files-scene.js'

const { service, apart, workspaces, run, get, bytesOf, project, listing } = await openFiles(t)

void t.test('the listing says what is there, what the run changed, and what cannot be had', async (t) => {
  t.equal(project.status, 'succeeded', JSON.stringify(project.outcome))
  t.match(listing, {
    executionId: project.id,
    workspace: 'project',
    attempt: 1,
    created: 9,
    modified: 3,
    deleted: 1,
    unchanged: 1,
    notListed: 0,
    limitBytes: LIMIT,
  })
  t.match(find(listing, 'src/changed.txt'), {
    change: 'modified',
    kind: 'file',
    size: 16,
    mode: '0644',
    sha256: sha256('one\n2\nthree\nfour'),
    content: 'kept',
  })
  t.match(find(listing, 'deep/a b/run é.sh'), { change: 'created', mode: '0755', content: 'kept' })
  t.match(find(listing, 'gone.txt'), {
    change: 'deleted',
    size: 12,
    sha256: sha256('it was here\n'),
    content: 'deleted',
  })
  t.match(find(listing, 'same.txt'), { change: 'unchanged', sha256: sha256('as it was\n'), content: 'unchanged' })
  t.match(find(listing, 'large'), { change: 'created', size: 2_000_000, content: 'too_large' })
  t.match(find(listing, 'first'), { content: 'kept' })
  t.match(find(listing, 'second'), { content: 'over_limit' })
  for (const path of ['pipe', 'outside', 'folder'])
    t.match(find(listing, path), { change: 'created', content: 'not_a_file' }, path)
  t.equal(listing.files.at(-1)?.path, 'same.txt', 'what did not change comes last')
})

void t.test('one file comes with its hash, its length and a type that does no harm', async (t) => {
  const file = await get(project, '/src/changed.txt')
  t.equal(file.text, 'one\n2\nthree\nfour')
  t.match(Object.fromEntries(file.headers), {
    etag: `"${sha256(file.text)}"`,
    'content-length': '16',
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  })
  const page = await get(project, '/page.html')
  t.equal(page.text, '<script>alert(1)</script>')
  t.match(page.headers.get('content-disposition'), /^attachment; filename="page.html"/)
  t.match(page.headers.get('content-security-policy'), /^sandbox/)
  t.match((await get(project, `/${encodeURIComponent('deep/a b/run é.sh')}`)).text, '#!/bin/sh')
  t.match((await get(project, '/deep/a%20b/run%20%C3%A9.sh')).text, '#!/bin/sh')
  t.match(await get(project, '/empty'), { status: 200, text: '' })
  t.equal(sha256(await bytesOf(project, '/first')), find(listing, 'first')?.sha256, 'one of several pieces')
  const head = await service.call('HEAD', `/executions/${project.id}/files/first`)
  t.match([head.status, head.headers.get('content-length'), head.text], [200, '700000', ''])
  t.match(await get(project, '/first', { 'if-none-match': `"${find(listing, 'first')?.sha256}"` }), {
    status: 304,
    text: '',
  })
})

void t.test('a part of a file can be had, across its pieces', async (t) => {
  const whole = await bytesOf(project, '/first')
  for (const [range, start, end] of [
    ['bytes=0-9', 0, 10],
    ['bytes=262000-262999', 262_000, 263_000],
    ['bytes=-5', 699_995, 700_000],
    ['bytes=699990-900000', 699_990, 700_000],
  ] as const) {
    const response = await fetch(`${service.url()}/executions/${project.id}/files/first`, {
      headers: { authorization: `Bearer ${service.token}`, range },
    })
    t.match([response.status, response.headers.get('content-range')], [206, `bytes ${start}-${end - 1}/700000`])
    t.ok(Buffer.from(await response.arrayBuffer()).equals(whole.subarray(start, end)), range)
  }
  const ignored: Array<Record<string, string>> = [
    { range: 'bytes=900000-' },
    { range: 'bytes=5-1' },
    { range: 'lines=1-2' },
    { range: 'bytes=0-1', 'if-range': '"another"' },
  ]
  for (const headers of ignored)
    t.match(
      await get(project, '/src/changed.txt', headers),
      { status: 200, text: 'one\n2\nthree\nfour' },
      'RFC 9110 lets a server answer with all of it',
    )
})

void t.test('what cannot be had is an error that says why, never an empty answer', async (t) => {
  const reasons = {
    'gone.txt': /deleted/,
    'same.txt': /did not change/,
    large: /larger than the 1048576 bytes.*CC_EXECUTOR_FILES_LIMIT_BYTES/,
    second: /used up/,
    pipe: /not a regular file/,
    outside: /not a regular file/,
  }
  for (const [path, detail] of Object.entries(reasons))
    t.match(await get(project, `/${path}`), { status: 410, body: { code: 'FILE_NOT_KEPT', detail } }, path)
  t.match(await get(project, '/nowhere'), { status: 404, body: { code: 'FILE_NOT_FOUND', detail: /"nowhere"/ } })
  t.match(await get(project, '/same.txt?diff'), { status: 410, body: { detail: /no difference/ } })
  t.match(await get(project, '?dif'), { status: 400, body: { errors: [{ path: 'dif' }] } })
})

/** As it is written, without what fetch makes of a path. */
const raw = (path: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(service.url())
    httpRequest({ hostname, port, path, headers: { authorization: `Bearer ${service.token}` } }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
      .on('error', reject)
      .end()
  })

void t.test('no path leads out of what was listed', async (t) => {
  const paths = [
    '../same.txt',
    '%2e%2e/same.txt',
    '..%2f..%2ftoken',
    'src/../same.txt',
    'src/%2e%2e/first',
    '/etc/passwd',
    '%2fetc%2fpasswd',
    'first%00',
    'src\\changed.txt',
    'src%5cchanged.txt',
    'folder/passwd',
    'outside/',
    './first',
    'src//changed.txt',
    '__proto__',
    'x'.repeat(5_000),
  ]
  for (const path of paths) {
    const { status, text } = await raw(`/executions/${project.id}/files/${path}`)
    t.ok([400, 404, 410].includes(status), `${path.slice(0, 40)} ${status}`)
    t.notMatch(text, /root:|"token"/)
  }
  t.equal((await raw(`/executions/${project.id}/files/%zz`)).status, 400)
})

void t.test('an archive holds what was created and modified, and is the same every time', async (t) => {
  const archive = await bytesOf(project, '.tar.gz')
  t.ok(archive.equals(await bytesOf(project, '.tar.gz')))
  const answer = await service.call('HEAD', `/executions/${project.id}/files.tar.gz`)
  t.match(Object.fromEntries(answer.headers), { 'content-type': 'application/gzip', 'files-omitted': '5' })
  const folder = join(service.directory, 'unpacked')
  await mkdir(folder)
  execFileSync('tar', ['-xf', '-'], { cwd: folder, input: gunzipSync(archive) })
  for (const { path, content, sha256: expected } of listing.files)
    if (content === 'kept') t.equal(sha256(await readFile(join(folder, path))), expected, path)
  const names = execFileSync('tar', ['-tf', '-'], { input: gunzipSync(archive) })
    .toString()
    .trim()
    .split('\n')
  t.equal(names.length, listing.files.filter(({ content }) => content === 'kept').length)
})

void t.test('names that a tar header does not hold come through', async (t) => {
  const path = `${'folder-with-a-long-name/'.repeat(8)}${'ä'.repeat(60)}.txt`
  const execution = await run(`mkdir -p ${path.slice(0, path.lastIndexOf('/'))}; echo long > ${path}`)
  const names = execFileSync('tar', ['-tf', '-', '--quoting-style=literal'], {
    input: gunzipSync(await bytesOf(execution, '.tar.gz')),
  })
    .toString()
    .trim()
  t.equal(names, path)
})

void t.test('a patch of a file and of all of them, which git applies to the byte', async (t) => {
  const patch = await bytesOf(project, '/src/changed.txt?diff')
  t.equal(
    patch.toString(),
    [
      'diff --git a/src/changed.txt b/src/changed.txt',
      '--- a/src/changed.txt',
      '+++ b/src/changed.txt',
      '@@ -1,3 +1,4 @@',
      ' one',
      '-two',
      '+2',
      ' three',
      '+four',
      '\\ No newline at end of file',
      '',
    ].join('\n'),
  )
  t.match(
    (await get(project, '/page.html?diff')).text,
    /new file mode 100644\n--- \/dev\/null\n\+\+\+ b\/page.html\n@@ -0,0 \+1,1 @@\n\+<script>/,
  )
  t.match((await get(project, '/gone.txt?diff')).text, /deleted file mode 100644\n--- a\/gone.txt\n\+\+\+ \/dev\/null/)
  t.match((await get(project, '/picture.bin?diff')).text, /^GIT binary patch\nliteral \d+\n(?:\S+\n)+\nliteral \d+\n/m)
  t.match((await get(project, '/large?diff')).text, /^# large: no lines are shown, its content was not kept\n/)

  const plain = {
    'a.txt': 'x\ny\n',
    'b with space.txt': 'no newline',
    'latin.txt': Buffer.from('\xe4\n\xf6\n', 'latin1'),
    'c.sh': 'echo\n',
    'dos.txt': 'a\r\nb\r\n',
  }
  const folder = join(workspaces, 'patched')
  const copy = join(service.directory, 'copy')
  for (const place of [folder, copy]) {
    await mkdir(place)
    for (const [name, content] of Object.entries(plain)) await writeFile(join(place, name), content)
  }
  const execution = await run(
    "printf 'x\\nz\\n' > a.txt; printf 'now\\n' > 'b with space.txt'; printf '\\344\\n\\374\\n' > " +
      "latin.txt; chmod +x c.sh; printf 'a\\r\\nc\\r\\n' > dos.txt; printf 'new' > 'quo\"te.txt'; : > " +
      'empty; mkdir -p d; seq 1000 > d/many',
    { workspace: 'patched' },
  )
  const all = await bytesOf(execution, '?diff')
  execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: copy, input: all })
  for (const name of [...Object.keys(plain), 'quo"te.txt', 'empty', 'd/many'])
    t.ok((await readFile(join(copy, name))).equals(await readFile(join(folder, name))), name)
  t.equal(execFileSync('stat', ['-c', '%a', 'c.sh'], { cwd: copy }).toString().trim(), '755')
})

void t.test('the patch of all of them applies whole, whatever became of what', async (t) => {
  const folder = join(workspaces, 'kinds')
  const copy = join(service.directory, 'kinds-copy')
  const kinds = ['file', 'link', 'folder', 'binary', 'gone'] as const
  const make = (kind: (typeof kinds)[number], name: string, word: string): string =>
    ({
      file: `printf '${word}\\n' > ${name}`,
      link: `ln -s ../${word} ${name}`,
      folder: `mkdir ${name}; printf '${word}' > ${name}/a; ln -s a ${name}/l; mkdir ${name}/s; : > ${name}/s/e`,
      binary: `printf '${word}\\0' > ${name}`,
      gone: 'true',
    })[kind]
  const cases = kinds.flatMap((from) => kinds.map((to) => ({ from, to, name: `${from}-${to}` })))
  for (const place of [folder, copy]) {
    await mkdir(place)
    const commands = cases.map(({ from, name }) => make(from, name, 'before'))
    execFileSync(
      'sh',
      ['-c', [...commands, 'mkdir mix; head -c 300000 /dev/zero > mix/large; echo x > mix/text'].join('\n')],
      {
        cwd: place,
      },
    )
  }
  const execution = await run(
    [...cases.map(({ to, name }) => `rm -rf ${name}; ${make(to, name, 'after')}`), 'rm -r mix; echo x > mix'].join(
      '\n',
    ),
    { workspace: 'kinds' },
  )
  const all = await bytesOf(execution, '?diff')
  execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: copy, input: all })
  const told = [...all.toString().matchAll(/^# ([\w-]+)(?:\/\w+)*: omitted, /gm)].map(([, name]) => String(name))
  t.same(new Set(told), new Set(['mix']), 'only what goes with a file that is too large is left out')
  const differ = execFileSync('sh', ['-c', `diff -rq --no-dereference ${folder} ${copy} || true`]).toString()
  t.match(differ, /[/]mix\b/, 'what is left out is another file')
  for (const { name } of cases) t.notMatch(differ, new RegExp(`[ /:]${name}\\b(?!-)`), name)
  t.match(
    (await get(execution, '/link-file?diff')).text,
    [
      'diff --git a/link-file b/link-file',
      'deleted file mode 120000',
      '--- a/link-file',
      '+++ /dev/null',
      '@@ -1,1 +0,0 @@',
      '-../before',
      '\\ No newline at end of file',
      'diff --git a/link-file b/link-file',
      'new file mode 100644',
    ].join('\n'),
  )
})

void t.test('while it runs, and for others, there is nothing', async (t) => {
  const execution = await service.submit({ prompt: JSON.stringify([{ hang: true }]) })
  await service.until(execution.id, 'execution.started')
  for (const tail of ['', '/a', '.tar.gz', '?diff'])
    t.match(await get(execution, tail), { status: 409, body: { code: 'NOT_FINISHED' } }, tail)
  await service.call('POST', `/executions/${execution.id}/cancel`)
  await service.finished(execution.id)
  t.match(await get(execution, ''), { status: 200, body: { created: 0, files: [] } })
  t.equal((await fetch(`${service.url()}/executions/${project.id}/files`)).status, 401)
  t.match(await get({ id: '019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21' }, ''), {
    status: 404,
    body: { code: 'EXECUTION_NOT_FOUND' },
  })
  await service.openApi({ CC_EXECUTOR_TOKENS: 'other=another-token-of-somebody-else:read' })
  for (const tail of ['', '/first', '.tar.gz']) {
    const answer = await fetch(`${service.url(1)}/executions/${project.id}/files${tail}`, {
      headers: { authorization: 'Bearer another-token-of-somebody-else' },
    })
    t.equal(answer.status, 404, tail)
  }
})

void t.test('one that never began has none, and says so; a cancelled one keeps what it had done', async (t) => {
  const missing = await run('true', { workspace: 'project', queueTimeoutSeconds: 0.001 })
  t.match(await get(missing, ''), { status: 410, body: { code: 'FILE_NOT_KEPT', detail: /before its run started/ } })
  const { id } = await service.submit({ prompt: JSON.stringify([{ tool: 'echo half > half.txt' }, { hang: true }]) })
  await service.until(id, 'tool.finished')
  await service.call('POST', `/executions/${id}/cancel`)
  t.match(await service.finished(id), { status: 'cancelled' })
  t.equal((await get({ id }, '/half.txt')).text, 'half\n')
})

void t.test('they live and go with their execution, and nothing of them is left', async (t) => {
  const redis = new Redis(redisOptions({ url: service.redis.url }))
  t.teardown(() => redis.disconnect())
  const execution = await run(`echo ${randomBytes(8).toString('hex')} > secret`)
  const key = `{cc}:files:${execution.id}`
  t.equal(await redis.pexpiretime(key), await redis.pexpiretime(`{cc}:execution:${execution.id}`))
  const { bytes = '0', ...fields } = await redis.hgetall(key)
  t.ok(Object.keys(fields).length >= 2 && Number(bytes) > 100 && Number(bytes) < 2_000, `${bytes} bytes`)
  const total = Number(await redis.get('{cc}:finished-total'))
  const counted = Number(await redis.hget('{cc}:finished-bytes', execution.id))
  t.ok(counted > Number(bytes), 'they count towards CC_EXECUTOR_RETENTION_BYTES')
  t.equal((await service.call('DELETE', `/executions/${execution.id}`)).status, 204)
  const left = async (): Promise<string[]> => redis.keys(`*${execution.id}*`)
  // BullMQ closes its own books of a job a moment after the end has been told.
  t.same(
    (await left()).filter((name) => !name.startsWith('{cc}:executions:')),
    [],
  )
  await until(async () => (await left()).length === 0, 'nothing is left of its job either')
  t.equal(Number(await redis.get('{cc}:finished-total')), total - counted)
})

void t.test(
  'the real CLI writes a file on a worker that shares no folder with the API; another worker is of no use to it',
  async (t) => {
    await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
    await Promise.all([service.openWorker(apart('worker-2')), service.openApi(apart('api-2'))])
    const execution = await service.finished(
      (
        await service.submit({
          prompt: scripted(
            { tool: 'Write', input: { file_path: 'report.md', content: '# Report\n' } },
            { text: 'written' },
          ),
        })
      ).id,
    )
    t.match(execution, { status: 'succeeded' }, JSON.stringify(execution.outcome))
    // The host that ran it is gone.
    await Promise.all(service.workers.splice(0).map((worker) => worker.close()))
    t.match((await get(execution, '')).body, {
      created: 1,
      files: [{ path: 'report.md', change: 'created', content: 'kept' }],
    })
    t.equal((await get(execution, '/report.md')).text, '# Report\n')
    t.match((await get(execution, '?diff')).text, /\+# Report/)
  },
)

const cli = (...args: string[]): Promise<{ code: number; stdout: Buffer; stderr: string }> =>
  new Promise((resolve) => {
    const env = {
      PATH: process.env['PATH'],
      CC_EXECUTOR_URL: service.url(),
      CC_EXECUTOR_TOKEN: service.token,
      CC_EXECUTOR_DATA_DIR: join(service.directory, 'nowhere'),
    }
    execFile(
      process.execPath,
      [CLI, 'files', ...args],
      { env, encoding: 'buffer', maxBuffer: 4 * LIMIT },
      (error, stdout, stderr) =>
        resolve({
          code: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
          stdout,
          stderr: stderr.toString(),
        }),
    )
  })

void t.test('the command line lists, prints, saves and compares', async (t) => {
  const listed = await cli(project.id)
  t.equal(listed.code, 0, listed.stderr)
  t.match(listed.stdout.toString(), /^modified +16 {2}src\/changed\.txt$/m)
  t.match(listed.stdout.toString(), /^created +2000000 {2}large {2}\(not kept: larger than the limit per execution\)$/m)
  t.match(listed.stderr, /9 created, 3 modified, 1 deleted, 1 unchanged/)
  t.same(JSON.parse((await cli(project.id, '--json')).stdout.toString()), listing)
  t.equal(sha256((await cli(project.id, 'first')).stdout), find(listing, 'first')?.sha256, 'to the byte')
  t.equal((await cli(project.id, '--diff')).stdout.toString(), (await get(project, '?diff')).text)
  t.equal(
    (await cli(project.id, 'src/changed.txt', '--diff')).stdout.toString(),
    (await get(project, '/src/changed.txt?diff')).text,
  )

  const out = join(service.directory, 'out')
  const saved = await cli(project.id, '--out', out)
  t.match(saved, { code: 0, stderr: /7 files written below .*; 5 that changed are not kept/ })
  t.equal(await readFile(join(out, 'src/changed.txt'), 'utf8'), 'one\n2\nthree\nfour')
  t.equal((await stat(join(out, 'deep/a b/run é.sh'))).mode & 0o777, 0o755)
  t.match(await cli(project.id, 'large', '--out', out), { code: 1, stderr: /larger/ })
  t.match(await cli(project.id, 'nothing'), { code: 1, stderr: /nothing/ })
  t.match(await cli(project.id, '--diff', '--json'), {
    code: 2,
    stderr: /exclude each other[^]*Usage: cc-executor files/,
  })
})

void t.test('saving follows no link and writes into no repository', async (t) => {
  const worker = await service.openWorker({ ...apart('worker-3'), CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI })
  const execution = await run(
    [
      'mkdir -p linked .GIT a/.Git/hooks b/.git',
      'for file in linked/file note plain .GIT/config a/.Git/hooks/post-checkout b/.git/config; do echo made > $file; done',
    ].join('; '),
  )
  await worker.close()
  const elsewhere = join(service.directory, 'elsewhere')
  const out = join(service.directory, 'guarded')
  for (const folder of [elsewhere, out]) await mkdir(folder)
  await writeFile(join(elsewhere, 'kept'), 'as it was')
  await symlink(elsewhere, join(out, 'linked'))
  await symlink(join(elsewhere, 'kept'), join(out, 'note'))
  t.match(await cli(execution.id, 'linked/file', '--out', out), { code: 2, stderr: /linked\/file.*symbolic link/ })
  t.match(await cli(execution.id, 'note', '--out', out), { code: 2, stderr: /note.*symbolic link/ })
  t.match(await cli(execution.id, '.GIT/config', '--out', out), { code: 2, stderr: /\.GIT\/config.*\.git/ })
  t.not((await cli(execution.id, '--out', out)).code, 0)
  t.same(await readdir(elsewhere), ['kept'])
  t.equal(await readFile(join(elsewhere, 'kept'), 'utf8'), 'as it was')

  const free = join(service.directory, 'free')
  t.match(await cli(execution.id, '--out', free), { code: 0, stderr: /not written, because files in \.git/ })
  t.same((await readdir(free, { recursive: true })).toSorted(), ['linked', 'linked/file', 'note', 'plain'])
})
