import { v7 as uuidv7 } from 'uuid'

let sequence = 0
/** Ids of one time stand in the order in which this process made them. */
export function mintId(createdAt: number): string {
  sequence = (sequence + 1) >>> 0
  return uuidv7({ msecs: createdAt, seq: sequence })
}
