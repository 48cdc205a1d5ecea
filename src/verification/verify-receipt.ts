import { Receipt, type PublicJwk, type ReceiptCheck, type ReceiptReport } from '../protocol/receipt.js'
import { findCrowded } from '../protocol/crowded.js'
import { toFieldErrors } from '../protocol/errors.js'
import { ERRORS_LIMIT } from '../protocol/limits.js'
import { compactJson, toCanonicalJson } from './canonical-json.js'
import { locateFault } from './locate-fault.js'
import { checkEvents, checkResult } from './verify-events.js'
import { checkFiles } from './verify-files.js'
import type { Manifest } from './manifest.js'
import { isObject, locateFields, toSignedText, type RawReceipt } from './receipt.js'
import { toKeyId, verifySignature } from './signing-key.js'
import type { Finding, Mismatch } from './finding.js'

export interface ReceiptEvidence {
  /**
   * The receipt's text or bytes; an object where there is no text any more, and then it cannot be checked to the byte.
   */
  readonly receipt: string | Buffer | RawReceipt
  /** The events, one a line, with the bytes as they were delivered. */
  readonly events?: string | Buffer
  /** The workspace as it is now, looked at with the limits of the receipt. */
  readonly workspace?: Manifest
  /** The keys that are known to be the service's. */
  readonly keys: readonly PublicJwk[]
  /** Whether `keys` are all: then an unknown one is a mismatch and no open question. */
  readonly keysAreComplete: boolean
}

function parse(receipt: string | RawReceipt): { raw: RawReceipt } | { failure: Mismatch } {
  if (typeof receipt !== 'string') return { raw: receipt }
  try {
    const raw: unknown = JSON.parse(receipt)
    return isObject(raw) ? { raw } : { failure: { name: 'receipt', detail: 'is not a JSON object' } }
  } catch (error) {
    return {
      failure: {
        name: locateFault(receipt) || 'receipt',
        detail: `breaks the JSON: ${error instanceof Error ? error.message : String(error)}`,
      },
    }
  }
}

/** Bytes that are no UTF-8 are read as well as they can be, so that the field can be named. */
function decode(bytes: Buffer): { text: string; mismatches: Mismatch[] } {
  const text = bytes.toString()
  return {
    text,
    mismatches: Buffer.from(text).equals(bytes) ? [] : [{ name: 'receipt', detail: 'is not written in UTF-8' }],
  }
}

/** Every field is known and of its kind, and the text says each thing once and in the one canonical way. */
function checkForm(receipt: string | RawReceipt, raw: RawReceipt): Finding {
  const parsed = Receipt.safeParse(raw)
  const mismatches: Mismatch[] = parsed.success
    ? []
    : toFieldErrors(parsed.error).map(({ path, message }) => ({ name: path, detail: message }))
  // White space between tokens is nobody's claim: jq may have put it there.
  if (mismatches.length === 0 && typeof receipt === 'string' && compactJson(receipt) !== toCanonicalJson(raw)) {
    mismatches.push({
      name: 'receipt',
      detail: 'is not written as canonical JSON (RFC 8785): a name occurs twice, or a value is written in another form',
    })
  }
  return { name: 'form', mismatches, detail: 'Every field is known and well-formed.' }
}

const signatureOf = (raw: RawReceipt): { publicKey: string; value: string; keyId: string } => {
  const { publicKey, value, keyId } = isObject(raw['signature']) ? raw['signature'] : {}
  return { publicKey: String(publicKey), value: String(value), keyId: String(keyId) }
}

/** Which fields differ from their own hashes. */
function findChangedFields(raw: RawReceipt): string[] {
  const claimed = isObject(raw['fields']) ? raw['fields'] : {}
  const actual = locateFields(raw)
  return [...new Set([...Object.keys(claimed), ...Object.keys(actual)])]
    .filter((path) => claimed[path] !== actual[path])
    .sort()
}

/** The signature decides whether something was changed; the fields' hashes tell what. */
function checkSignature(raw: RawReceipt): Finding {
  const { publicKey, value, keyId } = signatureOf(raw)
  if (verifySignature(publicKey, toSignedText(raw), value))
    return { name: 'signature', mismatches: [], detail: `Signed by the key ${keyId}.` }
  const changed = findChangedFields(raw)
  if (changed.length === 0) {
    return {
      name: 'signature',
      mismatches: [
        {
          name: 'signature',
          detail: 'does not match the receipt, whose fields are consistent: the signature or its key was changed',
        },
      ],
      detail: '',
    }
  }
  // Either the field was changed or what is said of it: with the hashes that the fields really have the signature
  // tells.
  const hashesWereChanged = verifySignature(publicKey, toSignedText({ ...raw, fields: locateFields(raw) }), value)
  const mismatches = changed.map((path) =>
    hashesWereChanged
      ? { name: `fields.${path}`, detail: 'was changed after the receipt was signed' }
      : { name: path, detail: 'was changed after the receipt was signed' },
  )
  return { name: 'signature', mismatches, detail: '' }
}

function checkKey(raw: RawReceipt, { keys, keysAreComplete }: ReceiptEvidence): Finding {
  const { publicKey, keyId } = signatureOf(raw)
  if (toKeyId(publicKey) !== keyId)
    return {
      name: 'key',
      mismatches: [{ name: 'signature.keyId', detail: 'is not the thumbprint of the public key next to it' }],
      detail: '',
    }
  if (keys.some((key) => key.x === publicKey))
    return { name: 'key', mismatches: [], detail: 'It is a known key of the service.' }
  if (keysAreComplete)
    return {
      name: 'key',
      mismatches: [
        {
          name: 'signature.publicKey',
          detail: `is not one of the ${keys.length} known keys: the receipt was signed by somebody else`,
        },
      ],
      detail: '',
    }
  return {
    name: 'key',
    mismatches: [],
    skipped: true,
    detail: `The key is known only from the receipt: compare ${keyId} with GET /receipts/keys of the service.`,
  }
}

const toCheck = ({ name, mismatches, detail, skipped }: Finding): ReceiptCheck => ({
  name,
  status: mismatches.length > 0 ? 'fail' : skipped ? 'skip' : 'pass',
  detail:
    mismatches.length > 0
      ? mismatches
          .map((mismatch) => `${mismatch.name} ${mismatch.detail}`)
          .slice(0, 5)
          .join('; ')
      : detail,
})

function toReport(raw: RawReceipt | undefined, findings: readonly Finding[]): ReceiptReport {
  const executionId = raw?.['executionId']
  const seen = new Set<string>()
  const mismatches = findings
    .flatMap((finding) => finding.mismatches)
    .filter(({ name }) => !seen.has(name) && seen.add(name))
  return {
    valid: mismatches.length === 0,
    executionId: typeof executionId === 'string' ? executionId : undefined,
    checks: findings.map(toCheck),
    mismatches: mismatches.slice(0, ERRORS_LIMIT),
    errorCount: mismatches.length > 0 ? mismatches.length : undefined,
  }
}

/** Holds a receipt against its signature, and the events against the receipt; names everything that does not match. */
export function verifyReceipt(evidence: ReceiptEvidence): ReceiptReport {
  const { text: receipt, mismatches } = Buffer.isBuffer(evidence.receipt)
    ? decode(evidence.receipt)
    : { text: evidence.receipt, mismatches: [] }
  const parsed = parse(receipt)
  if ('failure' in parsed)
    return toReport(undefined, [{ name: 'form', mismatches: [parsed.failure, ...mismatches], detail: '' }])
  const { raw } = parsed
  const crowded = findCrowded(raw)
  if (crowded)
    return toReport(undefined, [
      { name: 'form', mismatches: [{ name: 'receipt', detail: crowded.message }, ...mismatches], detail: '' },
    ])
  try {
    const form = checkForm(receipt, raw)
    return toReport(raw, [
      { ...form, mismatches: [...form.mismatches, ...mismatches] },
      checkSignature(raw),
      checkKey(raw, evidence),
      checkEvents(raw, evidence.events),
      checkResult(raw, evidence.events),
      checkFiles(raw, evidence.workspace),
    ])
  } catch (error) {
    // Strings that are not well-formed, or nesting without end: no receipt of ours holds them. All of these are Errors.
    return toReport(raw, [
      { name: 'form', mismatches: [{ name: 'receipt', detail: (error as Error).message }], detail: '' },
    ])
  }
}
