import type { Redis } from 'ioredis'
import { createApprovalCommands, type ApprovalCommands } from './approval-commands.js'
import { createAttachmentCommands, type AttachmentCommands } from './attachment-commands.js'
import { createCallerCommands, type CallerCommands } from './caller-commands.js'
import { createEndCommands, type EndCommands } from './end-commands.js'
import { createHolderCommands, type HolderCommands } from './holder-commands.js'
import { createListCommands, type ListCommands } from './list-commands.js'
import { createMessageCommands, type MessageCommands } from './message-commands.js'
import { createQueueReads, type QueueReads } from './queue-reads.js'
import { createParkingCommands, type ParkingCommands } from './parking-commands.js'
import { createRecordReads, type RecordReads } from './record-reads.js'
import { createScheduleCommands, type ScheduleCommands } from './schedule-commands.js'
import { openStoreContext, type StoreOptions } from './store-context.js'
import { createSweepCommands, type SweepCommands } from './sweep-commands.js'

export type ExecutionReads = RecordReads &
  QueueReads &
  Pick<ApprovalCommands, 'getApprovals' | 'listApprovalsOf' | 'listApprovalIds'>

/** The records: every change is one script that checks state and fence, and writes the event that tells of it. */
export type ExecutionStore = ExecutionReads &
  CallerCommands &
  HolderCommands &
  EndCommands &
  ListCommands &
  MessageCommands &
  ParkingCommands &
  SweepCommands &
  ScheduleCommands &
  ApprovalCommands &
  AttachmentCommands

export function createExecutionStore(redis: Redis, options: StoreOptions): ExecutionStore {
  const context = openStoreContext(redis, options)
  return {
    ...createRecordReads(context),
    ...createQueueReads(context),
    ...createCallerCommands(context),
    ...createHolderCommands(context),
    ...createEndCommands(context),
    ...createListCommands(context),
    ...createMessageCommands(context),
    ...createParkingCommands(context),
    ...createSweepCommands(context),
    ...createScheduleCommands(context),
    ...createApprovalCommands(context),
    ...createAttachmentCommands(context),
  }
}
