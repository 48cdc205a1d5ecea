import * as z from 'zod'
import { ExecutionReference } from './ids.js'

/** Goes on with an earlier conversation: in its workspace, and with everything that was said in it. */
export const SessionRequest = z
  .strictObject({
    resume: ExecutionReference.meta({
      description:
        'The id of an earlier execution, or of a Claude session (`sessionId`), which means the latest execution of it.',
    }),
    fork: z.boolean().optional().meta({
      description: 'Continue in a new session that starts as a copy; the earlier one is unchanged. Default false.',
    }),
  })
  .meta({
    id: 'SessionRequest',
    description:
      'Continues the conversation of an earlier execution, in its workspace. `SESSION_BUSY` while that ' +
      'session has an execution that has not ended, `SESSION_NOT_FOUND` if there is no such session.',
    examples: [{ resume: '019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21' }],
  })
export type SessionRequest = z.infer<typeof SessionRequest>
