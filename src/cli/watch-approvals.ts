import type { Client } from '../client/open-client.js'
import type { Event, EventType } from '../protocol/events.js'

const TYPES: readonly EventType[] = ['approval.requested', 'approval.decided', 'approval.expired', 'approval.withdrawn']

export interface ApprovalWatch {
  /** An event of the execution that is followed. */
  note(event: Event): void
  close(): void
}

/** What concerns approvals: of the execution itself, or of the tasks of a list, each of which has a log of its own. */
export function watchApprovals(client: Client, onEvent: (event: Event, isOfTask: boolean) => void): ApprovalWatch {
  const over = new AbortController()

  async function followTask(executionId: string): Promise<void> {
    try {
      for await (const event of client.follow(executionId, { types: TYPES, signal: over.signal }))
        if (TYPES.includes(event.type)) onEvent(event, true)
    } catch {
      // Whoever follows the list is told of the same failure.
    }
  }

  return {
    note(event) {
      if (event.type === 'task.started') void followTask((event as Event<'task.started'>).data.executionId)
      else if (TYPES.includes(event.type)) onEvent(event, false)
    },
    close: () => over.abort(),
  }
}
