import { execFileSync } from 'node:child_process'
import { extract } from 'tar-stream'
import t from 'tap'
import { writeTar, type TarEntry } from '../../src/files/tar.js'

const entry = (path: string, mode: number, ...pieces: string[]): TarEntry => ({
  path,
  mode,
  size: pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0),
  content: async function* () {
    for (const piece of pieces) yield Buffer.from(piece)
  },
})

async function toBytes(entries: readonly TarEntry[]): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of writeTar(entries)) pieces.push(piece)
  return Buffer.concat(pieces)
}

const DEEP = `${'folder/'.repeat(30)}file`
const ENTRIES = [
  entry('a.txt', 0o644, 'one', 'two'),
  entry('empty', 0o755),
  entry('closed', 0, 'no mode at all'),
  entry('block', 0o600, 'x'.repeat(512)),
  entry('x'.repeat(100), 0o644, 'fits'),
  entry('y'.repeat(101), 0o644, 'does not fit'),
  entry(`${'d/'.repeat(60)}split`, 0o644, 'name and prefix'),
  entry(DEEP, 0o644, 'longer than both'),
  entry('ä ö\n"ü".txt', 0o644, 'é'),
]

void t.test('files come out as they went in, in their order, whatever their names', async (t) => {
  const archive = await toBytes(ENTRIES)
  t.ok(archive.equals(await toBytes(ENTRIES)), 'the same files make the same bytes')
  t.equal(archive.length % 512, 0)
  t.ok(archive.subarray(-1024).equals(Buffer.alloc(1024)), 'it ends as an archive ends')
  const unpacking = extract()
  unpacking.end(archive)
  const found: unknown[] = []
  for await (const file of unpacking) {
    const pieces: Buffer[] = []
    for await (const piece of file) pieces.push(piece as Buffer)
    const { name, mode, uid, gid, mtime, type, uname } = file.header
    found.push({ name, mode, text: Buffer.concat(pieces).toString() })
    t.match({ uid, gid, mtime, type, uname }, { uid: 0, gid: 0, mtime: new Date(0), type: 'file', uname: '' })
  }
  const expected = ENTRIES.map(async ({ path, mode, content }) => {
    let text = ''
    for await (const piece of content()) text += piece.toString()
    return { name: path, mode, text }
  })
  t.same(found, await Promise.all(expected))
})

void t.test('the system’s own tar reads it', async (t) => {
  const names = execFileSync('tar', ['-tf', '-', '--quoting-style=literal'], { input: await toBytes(ENTRIES) })
  t.equal(names.toString(), `${ENTRIES.map(({ path }) => path).join('\n')}\n`)
  t.equal((await toBytes([])).length, 1024, 'an empty archive is one too')
})

void t.test('a file is read no faster than the archive, and no further when its reader leaves', async (t) => {
  const PIECE = 65_536
  let read = 0
  let isClosed = false
  const large: TarEntry = {
    path: 'large',
    mode: 0o644,
    size: 1000 * PIECE,
    content: async function* () {
      try {
        for (; !isClosed;) {
          read += 1
          yield Buffer.alloc(PIECE)
        }
      } finally {
        isClosed = true
      }
    },
  }
  let taken = 0
  for await (const piece of writeTar([large])) {
    taken += piece.length
    // Turns in which a reader that is not held back would go on.
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    t.ok(read <= taken / PIECE + 4, `${read} pieces read, ${taken} bytes taken`)
    if (taken > 10 * PIECE) break
  }
  t.ok(isClosed)
})

void t.test('a file that fails, or has another size, breaks the archive', async (t) => {
  const failing: TarEntry = {
    ...entry('a', 0o644, 'four'),
    content: async function* () {
      yield Buffer.from('fo')
      throw new Error('the store is gone')
    },
  }
  await t.rejects(toBytes([entry('before', 0o644, 'x'), failing]), { message: 'the store is gone' })
  await t.rejects(toBytes([{ ...entry('a', 0o644, 'four'), size: 5 }]), { message: 'Size mismatch' })
})
