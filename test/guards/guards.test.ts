// Each guard of guards.json stands where it is said to, once, and its test is there; `npm run test:guards` takes them
// away, one at a time.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { namesTest } from '../support/named-tests.js'
import { ROOT } from '../support/paths.js'

interface Guard {
  readonly name: string
  readonly file: string
  readonly search: string
  readonly replace: string
  readonly test: string
  readonly title: string
}

const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

void t.test('every guard can be taken away, and names a test that is there', async (t) => {
  const guards = JSON.parse(await read('test/guards/guards.json')) as Guard[]
  t.equal(new Set(guards.map(({ name }) => name)).size, guards.length, 'each has a name of its own')
  for (const { name, file, search, replace, test, title } of guards) {
    t.equal((await read(file)).split(search).length - 1, 1, `${name}: its text is once in ${file}`)
    t.not(search, replace, name)
    t.ok(namesTest(await read(test), title), `${name}: ${test} has "${title}"`)
  }
})
