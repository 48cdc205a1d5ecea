import type { Receipt, ReceiptFacts } from '../protocol/receipt.js'
import { sha256 } from '../platform/hash.js'
import { toCanonicalJson, toSignable } from './canonical-json.js'
import type { SigningKey } from './signing-key.js'

const LOCATOR_DIGITS = 16

/** A receipt as an object of whatever was read: nothing of it is trusted yet. */
export type RawReceipt = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Every field by its path in dots; arrays count as one field. */
function leavesOf(value: unknown, path: string): Array<[string, unknown]> {
  if (!isObject(value) || Object.keys(value).length === 0) return [[path, value]]
  return Object.entries(value).flatMap(([name, member]) =>
    member === undefined ? [] : leavesOf(member, path === '' ? name : `${path}.${name}`),
  )
}

/** What names a change: the beginning of each field's own hash. */
export function locateFields({ fields: _fields, signature: _signature, ...facts }: RawReceipt): Record<string, string> {
  return Object.fromEntries(
    leavesOf(facts, '').map(([path, value]) => [path, sha256(toCanonicalJson(value)).slice(0, LOCATOR_DIGITS)]),
  )
}

/** The text that is signed: all of the receipt but the signature's own value. */
export function toSignedText(receipt: RawReceipt): string {
  const { value: _value, ...signature } = isObject(receipt['signature']) ? receipt['signature'] : {}
  return toCanonicalJson({ ...receipt, signature })
}

/** Signs what is known of a finished execution; the canonical text of its receipt. */
export function signReceipt(facts: ReceiptFacts, key: SigningKey): string {
  const content = { type: 'cc-executor.receipt', version: 1, ...toSignable(facts) } as const
  const signature = { algorithm: 'Ed25519', keyId: key.jwk.kid, publicKey: key.jwk.x } as const
  const unsigned = { ...content, fields: locateFields(content), signature }
  const receipt: Receipt = { ...unsigned, signature: { ...signature, value: key.sign(toSignedText(unsigned)) } }
  return toCanonicalJson(receipt)
}
