import * as z from 'zod'
import { Execution } from './execution.js'
import { Verification } from './verification.js'

const PROMPT_CHARACTERS = 200

/** An execution as one line of a report: how it ended, and what the server's own checks say of it. */
export const CheckedExecution = z.looseObject({
  executionId: z.string(),
  kind: Execution.shape.kind,
  status: Execution.shape.status,
  code: z.string().optional(),
  createdAt: Execution.shape.createdAt,
  finishedAt: Execution.shape.finishedAt,
  simulated: z.boolean(),
  prompt: z.string().meta({ description: 'The beginning of the prompt; for a task list, of its first task.' }),
  taskCount: Execution.shape.taskCount,
  verification: Verification.meta({
    description:
      'Result of the checks. `none` means that nothing was checked (also if the execution has not ended or ' +
      'was never started); it does not mean success.',
  }),
})
export type CheckedExecution = z.infer<typeof CheckedExecution>

const beginningOf = ({ request: { prompt, command, tasks: [first = ''] = [] } }: Execution): string =>
  (prompt ?? command ?? (typeof first === 'string' ? first : first.prompt)).slice(0, PROMPT_CHARACTERS).toWellFormed()

export function toCheckedExecution(execution: Execution): CheckedExecution {
  const { id, kind, status, createdAt, finishedAt, simulated, taskCount, outcome } = execution
  return {
    executionId: id,
    kind,
    status,
    code: outcome?.code,
    createdAt,
    finishedAt,
    simulated,
    prompt: beginningOf(execution),
    taskCount,
    verification: outcome?.verification ?? { status: 'none', checks: [] },
  }
}
