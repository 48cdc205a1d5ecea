import { joinCalls } from '../../platform/join-calls.js'
import type { NewRecordArguments } from './new-record.js'
import type { CreateReply } from './record-scripts.js'
import type { StoreContext } from './store-context.js'

/** A record that brings nothing along which another script has to look at. */
export interface PlainRecord {
  readonly id: string
  readonly idempotencyKey?: string | undefined
  readonly new: NewRecordArguments
  readonly maxQueue: number
}

/** More at once would keep the API waiting while Redis works, and the other way round. */
const MOST = 8
/** One that is longer is written alone: what comes with it would wait for its bytes. */
const LONG_CHARACTERS = 64 * 1024

const isLong = ({ new: { fields } }: PlainRecord): boolean => (fields['request']?.length ?? 0) > LONG_CHARACTERS

/**
 * Records that come within one turn of Node's loop are written by one script, each with an answer of its own: most of
 * what a script costs, here and in Redis, it costs once.
 */
export function createBatches({ run, sharedWorkspaces }: StoreContext): (record: PlainRecord) => Promise<CreateReply> {
  const shared = JSON.stringify(sharedWorkspaces)
  return joinCalls<PlainRecord, CreateReply>(
    { most: MOST, fits: (one, first) => one.maxQueue === first.maxQueue && !isLong(one) && !isLong(first) },
    async (records) => {
      const args: string[] = []
      for (const { id, idempotencyKey = '', new: made } of records) {
        args.push(id, idempotencyKey, made.before, made.after, '')
        const count = args.length - 1
        for (const [field, value] of Object.entries(made.fields)) if (value !== undefined) args.push(field, value)
        args[count] = String((args.length - 1 - count) / 2)
      }
      const replies = await run('ccCreateMany', records[0]?.maxQueue ?? 0, shared, ...args)
      return replies.map((reply) => (reply[0] === 'failed' ? new Error(reply[1]) : reply))
    },
  )
}
