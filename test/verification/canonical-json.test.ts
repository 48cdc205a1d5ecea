// Our canonical JSON beside another implementation of RFC 8785. The RFC's own vectors are in receipts.test.ts.
import canonicalize from 'canonicalize'
import * as fc from 'fast-check'
import t from 'tap'
import { toCanonicalJson } from '../../src/verification/canonical-json.js'

/** Every code point, and names that are often equal, whose order by code units is another one, or that mean much. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', 'a', 'A', '10', '9', '\u20ac', '\ufb33', '\u{1f600}', '\r', '"', '\\', '\u007f', '__proto__'),
)
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(-0, 1e21, 1e-7, 5e-324, Number.MAX_VALUE, 2 ** 53, 333_333_333.333_333_3),
)
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(text, number, fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 6 }),
  ),
}))

void t.test('any JSON is written as another implementation writes it', async (t) => {
  fc.assert(
    fc.property(json, (value) => {
      const written = toCanonicalJson(value)
      if (written !== canonicalize(value)) throw new Error(`${written} is not ${canonicalize(value)}`)
      if (toCanonicalJson(JSON.parse(written)) !== written) throw new Error('read and written again it is another')
    }),
    { numRuns: 400 },
  )
  t.pass('400 values')
})

void t.test('what is no JSON is refused by both', async (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, [Number.NEGATIVE_INFINITY], { a: '\ud800' }, 'x\udc00']) {
    t.throws(() => toCanonicalJson(value), TypeError)
    t.throws(() => canonicalize(value))
  }
})
