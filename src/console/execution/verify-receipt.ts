import type { Client } from 'cc-executor/client'
import { toCanonicalJson } from '../../verification/canonical-json.js'

export interface Check {
  readonly name: string
  readonly status: 'pass' | 'fail' | 'skip'
  readonly detail: string
}
export interface Report {
  readonly valid: boolean
  readonly by: 'browser' | 'service'
  readonly checks: readonly Check[]
}

interface RawReceipt {
  readonly signature?: { readonly publicKey?: string; readonly keyId?: string; readonly value?: string }
  readonly events?: { readonly count?: number; readonly head?: string }
}

const fromBase64Url = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0))
const toHex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

/** The lines of an export, without their line breaks. */
function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = []
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(0x0a, start)
    const end = found === -1 ? bytes.length : found
    lines.push(bytes.subarray(start, end))
    start = end + 1
  }
  return lines
}

/** `h[0]` is 32 zero bytes, `h[n] = SHA-256(h[n-1] ‖ event n)`: protocol.md, section 7. */
async function chainOf(lines: readonly Uint8Array[]): Promise<string> {
  let head = new Uint8Array(32)
  for (const line of lines) {
    const both = new Uint8Array(head.length + line.length)
    both.set(head)
    both.set(line, head.length)
    head = new Uint8Array(await crypto.subtle.digest('SHA-256', both))
  }
  return toHex(head)
}

async function checkSignature(receipt: RawReceipt): Promise<Check> {
  const { value = '', ...signature } = receipt.signature ?? {}
  const key = await crypto.subtle.importKey('raw', fromBase64Url(signature.publicKey ?? ''), 'Ed25519', false, [
    'verify',
  ])
  const signed = new TextEncoder().encode(toCanonicalJson({ ...receipt, signature }))
  const isValid = await crypto.subtle.verify('Ed25519', key, fromBase64Url(value), signed)
  return isValid
    ? { name: 'signature', status: 'pass', detail: `Signed by the key ${signature.keyId}.` }
    : { name: 'signature', status: 'fail', detail: 'The signature does not match the receipt: it was changed.' }
}

/** Looks at the receipt and the log with what the browser has; nothing is believed because the service says so. */
async function verifyHere(client: Client, text: string, lines: readonly Uint8Array[]): Promise<Report> {
  // Safe: looked at field by field.
  const receipt = JSON.parse(text) as RawReceipt
  const { keys } = await client.receiptKeys()
  const isKnown = keys.some(({ x }) => x === receipt.signature?.publicKey)
  const { count = 0, head = '' } = receipt.events ?? {}
  const isWhole = count === lines.length && head === (await chainOf(lines))
  const checks: Check[] = [
    await checkSignature(receipt),
    isKnown
      ? { name: 'key', status: 'pass', detail: 'It is a known key of the service.' }
      : { name: 'key', status: 'fail', detail: 'It is not a key of this service.' },
    isWhole
      ? { name: 'events', status: 'pass', detail: `All ${count.toLocaleString('en')} events match the recorded ones.` }
      : { name: 'events', status: 'fail', detail: `The ${lines.length} events are not the ${count} recorded ones.` },
  ]
  return { valid: checks.every(({ status }) => status === 'pass'), by: 'browser', checks }
}

/** Done by the browser where it has Ed25519 (a secure context), by the service elsewhere. */
export async function verifyExecution(client: Client, executionId: string): Promise<Report> {
  const [receipt, events] = await Promise.all([client.receipt(executionId), client.eventLines(executionId)])
  if (globalThis.crypto?.subtle !== undefined) {
    try {
      return await verifyHere(client, receipt, splitLines(events))
    } catch (error) {
      // A browser without Ed25519.
      if (!(error instanceof DOMException)) throw error
    }
  }
  const { valid, checks } = await client.verifyReceipt({ receipt, events: new TextDecoder().decode(events) })
  return { valid, by: 'service', checks }
}
