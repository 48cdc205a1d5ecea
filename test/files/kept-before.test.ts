// What a workspace was before the first attempt of its run, kept for those that follow.
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { BeforeContents } from '../../src/files/before-contents.js'
import { readBefore, writeBefore } from '../../src/files/kept-before.js'
import { DEFAULT_LIMITS, takeManifest } from '../../src/verification/manifest.js'

void t.test('it is read as it was written, texts included, and in place of an older one', async (t) => {
  const root = t.testdir({
    workspace: { 'a.txt': 'old text', 'b.bin': Buffer.from([0, 1, 2]), deep: { 'c.md': '# c' } },
  })
  const folder = join(root, 'sessions/id/before')
  const limits = { ...DEFAULT_LIMITS, ignored: [] }
  const contents = new BeforeContents(root)
  const manifest = await takeManifest(join(root, 'workspace'), limits, undefined, contents.keep)
  const before = { manifest, head: { ref: 'refs/heads/main', commit: 'c'.repeat(40) }, contents }
  await writeBefore(folder, before)
  await writeBefore(folder, before)
  t.same((await readdir(folder)).sort(), ['contents', 'manifest'])
  const read = await readBefore(folder)
  t.same(read?.manifest, JSON.parse(JSON.stringify(manifest)))
  t.same(read?.head, before.head)
  t.equal(String(read?.contents?.read('a.txt')), 'old text')
  t.equal(String(read?.contents?.read('deep/c.md')), '# c')
  t.same(read?.contents?.read('b.bin'), Buffer.from([0, 1, 2]))
  contents.close()
  read?.contents?.close()
  await writeBefore(folder, {
    manifest: { entries: [], hashedBytes: 0, begunAt: 1 },
    head: undefined,
    contents: undefined,
  })
  t.match(await readBefore(folder), { manifest: { entries: [] }, head: undefined, contents: undefined })
})

void t.test('what is not there, half written or not ours counts as nothing', async (t) => {
  const root = t.testdir({ broken: { manifest: 'no deflate' } })
  t.equal(await readBefore(join(root, 'missing')), undefined)
  t.equal(await readBefore(join(root, 'broken')), undefined)
  await mkdir(join(root, 'half'))
  await writeFile(join(root, 'half/new'), 'x')
  t.equal(await readBefore(join(root, 'half')), undefined)
})
