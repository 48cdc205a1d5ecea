// Small files of the request: in the workspace before the run, and nowhere else.
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'

const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
const workspaces = join(service.directory, 'data', 'workspaces')
const RESULT = {
  line: {
    type: 'result',
    subtype: 'success',
    is_error: false,
    result: 'done',
    num_turns: 1,
    usage: {},
    permission_denials: [],
  },
}
const run = async (
  files: unknown,
  more: Record<string, unknown> = {},
  command = 'cat a.txt deep/b.bin > both',
): Promise<Execution> =>
  service.finished((await service.submit({ prompt: JSON.stringify([{ tool: command }, RESULT]), files, ...more })).id)

void t.test('they are there when the run begins, and do not count as its changes', async (t) => {
  const bytes = Buffer.from([0, 1, 254, 255])
  const execution = await run([
    { path: 'a.txt', content: 'grüße\n' },
    { path: 'deep/b.bin', content: bytes.toString('base64'), encoding: 'base64' },
  ])
  t.equal(execution.status, 'succeeded', JSON.stringify(execution.outcome))
  t.ok((await readFile(join(workspaces, execution.id, 'both'))).equals(Buffer.concat([Buffer.from('grüße\n'), bytes])))
  t.equal((await stat(join(workspaces, execution.id, 'a.txt'))).mode & 0o777, 0o644)
  t.match((await service.call('GET', `/executions/${execution.id}/files`)).body, {
    created: 1,
    modified: 0,
    unchanged: 2,
  })
  t.match(execution.request.files, [{ content: 'grüße\n' }, {}])
  const listed = (await service.call('GET', '/executions')).body.executions.find(
    ({ id }: Execution) => id === execution.id,
  )
  t.same(
    listed.request.files,
    [
      { path: 'a.txt', content: '' },
      { path: 'deep/b.bin', content: '' },
    ],
    'a list does without the contents',
  )
})

void t.test(
  'in a named workspace a regular file is replaced; a folder, a link, and what a link leads to are not',
  async (t) => {
    const project = join(workspaces, 'project')
    const outside = join(service.directory, 'outside')
    await mkdir(join(project, 'folder'), { recursive: true })
    await mkdir(outside)
    await writeFile(join(outside, 'victim'), 'untouched')
    await writeFile(join(project, 'old'), 'old')
    await symlink(outside, join(project, 'way-out'))
    await symlink(join(outside, 'victim'), join(project, 'link'))
    t.match(await run([{ path: 'old', content: 'new' }], { workspace: 'project' }, 'true'), { status: 'succeeded' })
    t.equal(await readFile(join(project, 'old'), 'utf8'), 'new')
    for (const [path, why] of [
      ['folder', /names a folder/],
      ['link', /names a symbolic link/],
      ['way-out/new', /through a symbolic link/],
      ['old/below', /is not a folder/],
    ] as const) {
      t.match(
        await run([{ path, content: 'x' }], { workspace: 'project' }, 'true'),
        { status: 'failed', outcome: { code: 'WORKSPACE_ERROR', message: why } },
        path,
      )
    }
    t.same(await readdir(outside), ['victim'])
    t.equal(await readFile(join(outside, 'victim'), 'utf8'), 'untouched')
    t.same(
      (await readdir(project)).filter((name) => name.startsWith('.')),
      [],
      'no draft is left',
    )
  },
)

void t.test('a wrong one is refused at submission by its name', async (t) => {
  const refused = async (files: unknown): Promise<{ status: number; paths: string[] }> => {
    const { status, body } = await service.call('POST', '/execute', { body: { prompt: 'x', files } })
    return { status, paths: (body.errors ?? []).map(({ path }: { path: string }) => path) }
  }
  for (const path of [
    '/etc/passwd',
    '../a',
    'a/../../b',
    'a/..',
    '.',
    'a//b',
    'a/',
    './a',
    'a\\b',
    'a\u0000b',
    'a\nb',
    '.git/hooks/post-checkout',
    'sub/.GIT/config',
    'x'.repeat(256),
    'a/'.repeat(600) + 'b',
    '',
  ]) {
    t.same(
      await refused([
        { path: 'ok', content: '' },
        { path: 'fine', content: '' },
        { path, content: 'x' },
      ]),
      { status: 400, paths: ['files[2].path'] },
      JSON.stringify(path.slice(0, 30)),
    )
  }
  t.same(
    await refused([
      { path: 'a', content: '' },
      { path: 'a', content: '' },
    ]),
    { status: 400, paths: ['files[1].path'] },
    'twice',
  )
  t.same(
    await refused([
      { path: 'a/b', content: '' },
      { path: 'a', content: '' },
    ]),
    { status: 400, paths: ['files[1].path'] },
    'a folder and a file',
  )
  t.same(
    await refused([
      { path: 'a', content: '' },
      { path: 'a/b', content: '' },
    ]),
    { status: 400, paths: ['files[1].path'] },
    'a file and a folder',
  )
  t.same(await refused([{ path: 'a', content: 'no base64!', encoding: 'base64' }]), {
    status: 400,
    paths: ['files[0].content'],
  })
  t.same(await refused([{ path: 'a', content: 'x', mode: 0o777 }]), { status: 400, paths: ['files[0].mode'] })
  t.same(await refused([{ path: 'a', content: 'x'.repeat(1024 * 1024 + 1) }]), { status: 413, paths: ['files'] })
  t.same(await refused(Array.from({ length: 101 }, (_, index) => ({ path: `f${index}`, content: '' }))), {
    status: 400,
    paths: ['files'],
  })
  t.same(await refused([]), { status: 400, paths: ['files'] })
})
