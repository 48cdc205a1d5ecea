import { isTerminal } from '../../protocol/execution.js'
import { ExecutorError } from '../../protocol/errors.js'
import { Receipt, type KeySet, type PublicJwk, type ReceiptReport, type VerifyRequest } from '../../protocol/receipt.js'
import { fromStore } from '../../platform/redis.js'
import { toMarkdown } from '../../verification/receipt-markdown.js'
import { parsePublicKey, readPublicKeys } from '../../verification/signing-key.js'
import { verifyReceipt } from '../../verification/verify-receipt.js'
import { requireExecution } from './find-execution.js'
import { toStatus } from '../records/execution-state.js'
import type { ReadServices } from '../services.js'
import type { Caller } from '../../protocol/caller.js'

/**
 * The receipt of a finished execution: its canonical JSON to the byte, or Markdown for people. @throws ExecutorError
 * NOT_FINISHED
 */
export async function readReceipt(
  services: ReadServices,
  id: string,
  caller: Caller,
  form: 'json' | 'markdown',
): Promise<string> {
  const { state } = await requireExecution(services, id, caller)
  if (!isTerminal(state))
    throw new ExecutorError('NOT_FINISHED', {
      detail: `The execution is ${toStatus(state)}; its receipt is written when it ends.`,
    })
  const text = await fromStore(services.store.getReceipt(id))
  if (text === undefined)
    throw new ExecutorError('EXECUTION_NOT_FOUND', {
      detail: `There is no receipt for ${id}: it ended before this service wrote receipts, or was just deleted.`,
    })
  return form === 'json' ? text : toMarkdown(Receipt.parse(JSON.parse(text)))
}

/** Every key that has signed here, of whichever host, and those of this process's data folder. */
export async function listReceiptKeys({ store, config }: ReadServices): Promise<KeySet> {
  const [stored, own] = await Promise.all([fromStore(store.listReceiptKeys()), readPublicKeys(config.dataDir)])
  const keys = new Map<string, PublicJwk>()
  for (const key of [...stored.map(parsePublicKey), ...own]) if (key) keys.set(key.kid, key)
  return { keys: [...keys.values()] }
}

/** Checks what somebody else holds to be a receipt of this service. */
export async function verifyGiven(services: ReadServices, { receipt, events }: VerifyRequest): Promise<ReceiptReport> {
  const { keys } = await listReceiptKeys(services)
  return verifyReceipt({ receipt, keys, keysAreComplete: true, events })
}
