import { serializeWithoutSeq } from '../../events/stored-event.js'
import type { NewEvent } from '../../protocol/events.js'
import type { Outcome } from '../../protocol/execution.js'
import { toListedText } from '../records/listed-task.js'
import { decodeAdvance } from './decode-replies.js'
import { toNewRecord } from './new-record.js'
import type { StoreContext } from './store-context.js'
import type { Advance, AdvanceAnswer } from './list-transitions.js'

/** What is done to a task list as one, each in one step that is safe to repeat. */
export interface ListCommands {
  /** Records a task's end in its list, and queues the next one. */
  advance(listId: string, advance: Advance): Promise<AdvanceAnswer>
  /**
   * Records a hook that ran for a list, and what those before it have decided; `number` makes a record of this holder's
   * unmistakable. False where the fence is lost.
   */
  appendListEvent(
    listId: string,
    holder: { id: string; fence: string },
    number: number,
    event: NewEvent,
    decided?: { hooksRun?: number; refusal?: Outcome },
  ): Promise<boolean>
  /** One that is gone. */
  forgetUnsettled(listId: string): Promise<void>
}

export function createListCommands({ redis, root, run, now }: StoreContext): ListCommands {
  return {
    async advance(listId, { index, id, at, status, receiptSha256, event, usage, holdMs, following }) {
      return decodeAdvance(
        following?.id,
        await run('ccAdvanceList', {
          list: listId,
          index,
          listed: toListedText(id, status, receiptSha256),
          event: serializeWithoutSeq(event, at, 0),
          usage: JSON.stringify(usage),
          holdMs,
          following: following && { id: following.id, ...toNewRecord(following) },
        }),
      )
    },
    async appendListEvent(listId, holder, number, event, { hooksRun, refusal } = {}) {
      const [kind] = await run('ccAppendListEvent', {
        list: listId,
        holder: holder.id,
        fence: holder.fence,
        number,
        event: serializeWithoutSeq(event, new Date(await now()), 0),
        hooksRun,
        refusal: refusal && JSON.stringify(refusal),
      })
      return kind === 'recorded'
    },
    async forgetUnsettled(listId) {
      await redis.zrem(`${root}:unsettled`, listId)
    },
  }
}
