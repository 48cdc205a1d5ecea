// One thing wrong with a value that was right: its type, a bound, a name, its depth, its text as JSON.
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'

/** Stands for a text that JSON.stringify would not write. */
const RAW = 'raw:'
const LONG = 70_000

const nested = (levels: number): string => RAW + '['.repeat(levels) + ']'.repeat(levels)
const nestedObjects = (levels: number): string => `${RAW}${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

const ODD_TEXTS: readonly string[] = [
  '',
  ' ',
  '\0',
  '\n',
  '\u2028',
  '\uFEFF',
  '\uD800',
  'é',
  '👩‍👩‍👧',
  '..',
  '../..',
  './a',
  'a/../b',
  'a//b',
  'a\\b',
  '/',
  '/etc/passwd',
  '~',
  '.git/config',
  '-p',
  '--help',
  '{}',
  '*',
  '%',
  '%00',
  '%2e%2e',
  '%c0%af',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'NaN',
  '0',
  '-1',
  '00',
  '1e3',
  '0x10',
  '9007199254740993',
  '99999999999999999999999999',
  'auto',
  'true',
  '2026-02-30T00:00:00Z',
  '+275760-09-13T00:00:00.000Z',
  '9999-12-31',
  'claude -p "unclosed',
  'claude -p x; rm -rf /',
  'x'.repeat(300),
  'x'.repeat(LONG),
]
const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  86_401,
  2 ** 31,
  2 ** 53,
  1e21,
  1e308,
  5e-324,
  [],
  {},
  [[]],
  [null],
  { length: 1 },
  Array.from({ length: 600 }, () => 'a'),
  Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index])),
  `${RAW}-0`,
  `${RAW}1e999`,
  `${RAW}-1e999`,
  `${RAW}${'9'.repeat(400)}`,
  `${RAW}"\\ud800"`,
  `${RAW}"\\u0000"`,
  `${RAW}{"__proto__":{"prompt":"x"}}`,
  `${RAW}{"constructor":{"prototype":{}}}`,
  nested(90),
  nested(20_000),
  nestedObjects(110),
  nestedObjects(20_000),
]
/** No JSON, or none of one value. */
const ODD_BODIES: readonly string[] = [
  '',
  ' ',
  'null',
  'true',
  '0',
  '""',
  '[]',
  '[{}]',
  '{}',
  '{',
  '{"a":}',
  '{"a":1,}',
  "{'a':1}",
  '\uFEFF{}',
  '{}{}',
  '{} // x',
  'NaN',
  'undefined',
  '\0',
  '{"prompt":"x"',
  '{"prompt":"\t"}',
  nested(50_000).slice(RAW.length),
  '['.repeat(200_000),
  '{"a":'.repeat(50_000),
]

export const oddTexts = (known: readonly string[] = []): Arbitrary<string> =>
  fc.oneof(
    { arbitrary: fc.constantFrom(...known, ...ODD_TEXTS), weight: 3 },
    { arbitrary: fc.string({ maxLength: 20 }), weight: 1 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 20 }), weight: 1 },
  )

const oddValues = (known: readonly string[]): Arbitrary<unknown> =>
  fc.oneof(
    { arbitrary: fc.constantFrom(...ODD_VALUES), weight: 3 },
    { arbitrary: oddTexts(known), weight: 3 },
    { arbitrary: fc.jsonValue({ maxDepth: 3 }), weight: 1 },
  )

type Path = readonly (string | number)[]

function listPaths(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [path, ...entries.flatMap(([key, inner]) => listPaths(inner, [...path, key]))]
}

/** A copy with what stands at the path changed; `undefined` takes it out. */
function changeAt(value: unknown, [key, ...rest]: Path, change: (old: unknown) => unknown): unknown {
  if (key === undefined) return change(value)
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? changeAt(item, rest, change) : item))
  const old = value as Record<string, unknown>
  return { ...old, [key]: changeAt(old[key], rest, change) }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const CHANGES: readonly ((odd: unknown, name: string) => (old: unknown) => unknown)[] = [
  (odd) => () => odd,
  () => () => undefined,
  (odd, name) => (old) => (isObject(old) ? { ...old, [name]: odd } : odd),
  (odd) => (old) => [old, odd],
  (_odd, name) => (old) => ({ [name]: old }),
  () => (old) => String(old),
  () => (old) => (typeof old === 'number' ? -old : typeof old === 'string' ? old.repeat(200).slice(0, LONG) : old),
  // A name that is there twice, of which the last counts.
  (odd, name) => (old) => (isObject(old) ? { ...old, [`${RAW}${name}`]: odd } : old),
]

const rawOf = (text: string): string | undefined => (text.startsWith(RAW) ? text.slice(RAW.length) : undefined)

/** As JSON, with what stands for a raw text in its place. */
export function toText(value: unknown): string {
  if (typeof value === 'string') return rawOf(value) ?? JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => toText(item === undefined ? null : item)).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value) ?? ''
  const named = Object.entries(value).filter(([, inner]) => inner !== undefined)
  return `{${named.map(([name, inner]) => `${JSON.stringify(rawOf(name) ?? name)}:${toText(inner)}`).join(',')}}`
}

/** `valid` with one thing changed. */
export function nearMisses(valid: Arbitrary<unknown>, known: readonly string[]): Arbitrary<unknown> {
  const names = fc.oneof(fc.constantFrom('prompt', 'tasks', 'extra', '__proto__', ''), oddTexts(known))
  return fc
    .tuple(valid, fc.nat(1_000), fc.constantFrom(...CHANGES), oddValues(known), names)
    .map(([value, at, change, odd, name]) => {
      // As it is sent: what is not defined is not there.
      const plain: unknown = JSON.parse(JSON.stringify(value) ?? 'null')
      const paths = listPaths(plain)
      return changeAt(plain, paths[at % paths.length] ?? [], change(odd, name))
    })
}

/** Texts of a body: valid ones, some that are nearly so, and some that are nothing of the kind. */
export function bodyTexts(valid: Arbitrary<unknown>, known: readonly string[]): Arbitrary<string> {
  return fc.oneof(
    { arbitrary: nearMisses(valid, known).map(toText), weight: 10 },
    { arbitrary: valid.map(toText), weight: 4 },
    { arbitrary: fc.constantFrom(...ODD_BODIES), weight: 1 },
    {
      arbitrary: fc.tuple(valid.map(toText), fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1))),
      weight: 1,
    },
    { arbitrary: fc.string({ unit: 'binary' }), weight: 1 },
  )
}
