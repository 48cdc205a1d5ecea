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
      {
        made: books.filter(({ created }) => created).length,
        known: books.filter((book) => book.inFile && book.find(token)).length,
      },
      { made: 1, known: 8 },
    )
    t.same(await readdir(folder), ['token'], 'no draft is left')
    t.equal((await stat(tokenFile)).mode & 0o777, 0o600)
  }
})

void t.test('a token that ends in = is whole, with or without a name', async (t) => {
  const tokenFile = join(t.testdir({}), 'token')
  const open = (tokens: string) => openTokens({ tokens, tokenFile })
  const padded = 'dG9rZW4tMDEyMzQ1Njc4OWFiY2Q='
  const named = await open(`ci=${padded},ops=${padded.slice(1)}=:read`)
  t.notOk(named.inFile, 'and no file is told of')
  t.match([named.find(padded)?.name, named.find(`${padded.slice(1)}=`)?.name], ['ci', 'ops'])
  for (const token of [padded, `${padded}=`, `${padded}:read`]) {
    const entry = (await open(token)).find(token.replace(':read', ''))
    t.match({ name: entry?.name, admin: entry?.scopes.has('admin') }, { name: 'default', admin: !token.includes(':') })
  }
})

void t.test('an entry that is wrong is told by its place, and nothing of it is repeated', async (t) => {
  const secret = 'a-secret-that-nobody-may-see'
  const tokenFile = join(t.testdir({}), 'token')
  const wrong = [
    `ci=${secret}:${secret}`,
    `ci=${secret}:read:${secret}`,
    `ci=${secret}:daily-usd=${secret}`,
    `${secret} with a blank=${secret}`,
    'ci=short-secret',
    'short-secret',
    'short-secret=',
  ]
  for (const entry of wrong) {
    const refused = openTokens({ tokens: `good=${secret},${entry}`, tokenFile })
    await t.rejects(refused, { message: /^CC_EXECUTOR_TOKENS, entry 2/ }, entry)
    await refused.catch(({ message }: Error) => t.notMatch(message, /secret/))
  }
})

void t.test('a configured token has its name as id, and cannot have that of one that the API made', async (t) => {
  const tokenFile = join(t.testdir({ token: 'ci=in-the-file-0123456:approve\n' }), 'token')
  const tokens = 'ci=in-the-variable-0123:read+execute:daily-usd=2:max-concurrent=3,ops=another-0123456789abc'
  const book = await openTokens({ tokens, tokenFile })
  t.match(book.find('in-the-file-0123456'), { id: 'ci', name: 'ci' })
  t.same(book.shown, [
    {
      id: 'ci',
      name: 'ci',
      scopes: ['read', 'execute', 'approve'],
      origin: 'environment',
      status: 'active',
      dailyBudgetUsd: 2,
      maxConcurrent: 3,
    },
    {
      id: 'ops',
      name: 'ops',
      scopes: ['read', 'execute', 'approve', 'admin'],
      origin: 'environment',
      status: 'active',
    },
  ])
  t.same(book.findById('ci', ['execute', 'read']), book.find('in-the-variable-0123'))
  t.equal(book.findById('ci', ['read']), undefined, 'of one name each has its own scopes')
  const id = `tok_${'0'.repeat(32)}`
  await t.rejects(openTokens({ tokens: `${id}=in-the-variable-0123`, tokenFile }), { message: /id of a token/ })
})
