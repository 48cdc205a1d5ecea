import { z } from 'zod'
import { ExecutionId } from './ids.js'

/** Whether `GET /executions/{id}/files/{path}` gives a file, and why not. */
export const FileContent = z
  .enum(['kept', 'unchanged', 'deleted', 'too_large', 'over_limit', 'unreadable', 'withheld', 'not_a_file'])
  .meta({
    id: 'FileContent',
    description:
      '`kept`: it can be had. `unchanged`: the run did not touch it, so it was not kept. `deleted`: it ' +
      'is gone. `too_large`: larger by itself than what is kept of one execution. `over_limit`: the ' +
      'others had used that up. `unreadable`: it could not be read, or changed while it was read. ' +
      '`withheld`: it holds a secret of the operator’s. ' +
      '`not_a_file`: a symbolic link, a fifo, a device.',
  })
export type FileContent = z.infer<typeof FileContent>

/** One entry of a workspace, as it was when the run had ended. */
export const WorkspaceFile = z
  .object({
    path: z.string().meta({ description: 'Relative to the workspace.' }),
    change: z.enum(['created', 'modified', 'deleted', 'unchanged']),
    kind: z.enum(['file', 'link', 'other']),
    size: z.number().int().meta({ description: 'In bytes; of a deleted file, what it had.' }),
    mode: z.string().meta({ description: 'Permission bits in octal, `0644`.' }),
    sha256: z
      .string()
      .optional()
      .meta({ description: 'Of the content; absent where it was not read. The ETag of the file.' }),
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
    files: z
      .array(WorkspaceFile)
      .meta({ description: 'What changed comes first, each part in the order of the paths.' }),
    notListed: z
      .number()
      .int()
      .meta({ description: 'Entries beyond those that a listing holds; the counts are of all.' }),
    incomplete: z
      .string()
      .optional()
      .meta({ description: 'Why not all of the workspace was looked at; absent when all was.' }),
    ignored: z.array(z.string()).meta({ description: 'Names of files and folders that were not looked at.' }),
    keptBytes: z.number().int(),
    limitBytes: z
      .number()
      .int()
      .meta({ description: 'So much is kept of one execution (CC_EXECUTOR_FILES_LIMIT_BYTES).' }),
  })
  .meta({ id: 'WorkspaceFiles' })
export type WorkspaceFiles = z.infer<typeof WorkspaceFiles>
