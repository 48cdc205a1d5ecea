import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { removeTree } from '../../src/platform/remove-tree.js'

const NOBODY = 65_534
const folder = await mkdtemp(join(tmpdir(), 'cce-tree-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

void t.test('a tree deeper than any path is removed, and what a link leads to is left alone', async (t) => {
  const tree = join(folder, 'deep')
  await mkdir(join(folder, 'outside'))
  await writeFile(join(folder, 'outside', 'kept'), '')
  await mkdir(tree)
  await symlink(join(folder, 'outside'), join(tree, 'link'))
  execFileSync(
    'bash',
    [
      '-c',
      'name=$(printf "d%.0s" {1..200}); for _ in {1..40}; do mkdir "$name" && cd "$name" || exit 1; done; touch file',
    ],
    { cwd: tree },
  )
  await t.rejects(rm(tree, { recursive: true }), { code: 'ENAMETOOLONG' }, 'which Node cannot do')
  await removeTree(tree)
  t.equal(existsSync(tree), false)
  t.same(await readdir(join(folder, 'outside')), ['kept'])
  await t.resolves(removeTree(tree), 'nothing is no failure')
})

void t.test('folders that their owner has made read-only are removed', async (t) => {
  // Nothing is read-only for root: so as somebody else, where we are root.
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(folder, NOBODY, NOBODY)
  if (isRoot) process.seteuid?.(NOBODY)
  t.teardown(() => isRoot && process.seteuid?.(0))
  const tree = join(folder, 'module@v1')
  await mkdir(join(tree, 'below'), { recursive: true })
  await writeFile(join(tree, 'below', 'file.go'), '')
  for (const path of ['below', '.']) await chmod(join(tree, path), 0o500)
  await t.rejects(rm(tree, { recursive: true }), { code: 'EACCES' })
  await removeTree(tree)
  t.equal(existsSync(tree), false)
})
