import t from 'tap'
import { definedFields } from '../../src/protocol/defined-fields.js'

void t.test('only undefined fields are left out, and the order stays', (t) => {
  const given = { b: undefined as string | undefined, z: null, a: 0, c: '', d: false }
  const headers: Record<string, unknown> = definedFields(given)
  t.equal(JSON.stringify(Object.entries(headers)), '[["z",null],["a",0],["c",""],["d",false]]')
  t.ok('b' in given, 'a copy')
  t.end()
})

void t.test('the type of what may be undefined is optional', (t) => {
  const token = 'x' as string | undefined
  const headers: Record<string, string> = definedFields({ accept: 'text/plain', authorization: token })
  t.strictSame(headers, { accept: 'text/plain', authorization: 'x' })
  t.end()
})
