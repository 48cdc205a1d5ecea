import * as z from 'zod'
import { ExecutionId } from './ids.js'

/** Whether `GET /executions/{id}/files/{path}` gives a file, and why not. */
export const FileContent = z
  .enum(['kept', 'unchanged', 'deleted', 'too_large', 'over_limit', 'unreadable', 'withheld', 'not_a_file'])
  .meta({
    id: 'FileContent',
    description:
      '`kept`: available. `unchanged`: the run did not change it, so it was not kept. `deleted`: it no ' +
      'longer exists. `too_large`: larger than the limit per execution. `over_limit`: other files used up ' +
      'the limit. `unreadable`: it could not be read, or changed while it was read. `withheld`: it ' +
      'contains a secret of the operator. `not_a_file`: a symbolic link, a fifo, a device.',
  })
export type FileContent = z.infer<typeof FileContent>

/** One entry of a workspace, as it was when the run had ended. */
export const WorkspaceFile = z
  .object({
    path: z.string().meta({ description: 'Relative to the workspace.' }),
    change: z.enum(['created', 'modified', 'deleted', 'unchanged']),
    kind: z.enum(['file', 'link', 'other']),
    size: z.number().int().meta({ description: 'In bytes; for a deleted file, its former size.' }),
    mode: z.string().meta({ description: 'Permission bits in octal, `0644`.' }),
    sha256: z
      .string()
      .optional()
      .meta({ description: 'Of the content; absent if it was not read. The ETag of the file.' }),
    content: FileContent,
  })
  .meta({ id: 'WorkspaceFile' })
export type WorkspaceFile = z.infer<typeof WorkspaceFile>

/** What was in the workspace when the run had ended, and what the run changed. */
export const WorkspaceFiles = z
  .object({
    executionId: ExecutionId,
    workspace: z.string(),
    attempt: z.number().int().meta({ description: 'The attempt whose changes these are: the last one.' }),
    created: z.number().int(),
    modified: z.number().int(),
    deleted: z.number().int(),
    unchanged: z.number().int(),
    files: z.array(WorkspaceFile).meta({ description: 'Changed files first; both parts are ordered by path.' }),
    notListed: z
      .number()
      .int()
      .meta({ description: 'Number of entries beyond the limit of a listing; the counts include them.' }),
    incomplete: z
      .string()
      .optional()
      .meta({ description: 'Why the workspace was not examined completely; absent if it was.' }),
    ignored: z.array(z.string()).meta({ description: 'Names of files and folders that were not examined.' }),
    keptBytes: z.number().int(),
    limitBytes: z
      .number()
      .int()
      .meta({ description: 'How many bytes are kept per execution (CC_EXECUTOR_FILES_LIMIT_BYTES).' }),
  })
  .meta({ id: 'WorkspaceFiles' })
export type WorkspaceFiles = z.infer<typeof WorkspaceFiles>
