import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openTokens } from '../../src/platform/tokens.js'

void t.test('processes that start at once agree on one token, and none reads it half written', async (t) => {
  for (let round = 0; round < 50; round += 1) {
    const folder = join(t.testdir({}), `round-${round}`)
    const tokenFile = join(folder, 'token')
    const books = await Promise.all(Array.from({ length: 8 }, () => openTokens({ tokens: undefined, tokenFile })))
    const token = (await readFile(tokenFile, 'utf8')).trim()
    t.match(
      { made: books.filter(({ created }) => created).length, known: books.filter((book) => book.find(token)).length },
      { made: 1, known: 8 },
    )
    t.same(await readdir(folder), ['token'], 'no draft is left')
    t.equal((await stat(tokenFile)).mode & 0o777, 0o600)
  }
})
