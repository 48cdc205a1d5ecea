import * as z from 'zod'

const CHECK_NAMES = [
  'process_exit',
  'session',
  'uuid_echo',
  'schema',
  'claimed_files_exist',
  'unclaimed_changes',
  'permissions',
  'tool_calls_recorded',
  'background_tasks',
  'finished',
  'mcp_servers',
  'required_files',
  'commands',
] as const

/** One claim held against what the server saw. */
export const VerificationCheck = z
  .object({
    name: z.enum(CHECK_NAMES),
    status: z.enum(['pass', 'fail', 'skip']).meta({ description: '`skip`: there was nothing to compare with.' }),
    detail: z.string(),
  })
  .meta({ id: 'VerificationCheck' })
export type VerificationCheck = z.infer<typeof VerificationCheck>

export const Verification = z
  .object({
    status: z
      .enum(['passed', 'failed', 'none'])
      .meta({ description: '`none`: nothing could be checked; this does not mean success.' }),
    checks: z.array(VerificationCheck),
  })
  .meta({
    id: 'Verification',
    description: 'What the server checked about a run; it does not show that the answer is right.',
  })
export type Verification = z.infer<typeof Verification>

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hex')

/** A workspace at one moment. */
export const ManifestSummary = z
  .strictObject({
    digest: Sha256.meta({ description: 'SHA-256 over path, kind, mode, size and SHA-256 of every entry.' }),
    entries: z.number().int(),
    bytes: z.number().int().meta({ description: 'Of the regular files together.' }),
    hashedBytes: z.number().int().meta({ description: 'Number of bytes read and hashed.' }),
    unhashed: z
      .number()
      .int()
      .meta({ description: 'Files compared by size only: too large, unreadable, or beyond the limits.' }),
    incomplete: z.string().optional().meta({ description: 'Why it was not examined completely; absent if it was.' }),
  })
  .meta({ id: 'ManifestSummary' })
export type ManifestSummary = z.infer<typeof ManifestSummary>

/** Where a git repository stands. */
export const GitHead = z
  .strictObject({
    ref: z
      .string()
      .optional()
      .meta({ description: 'The branch, as `refs/heads/main`; absent where HEAD is detached.' }),
    commit: z
      .string()
      .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'expected a git object id')
      .optional()
      .meta({ description: 'Absent on a branch without a commit.' }),
  })
  .meta({ id: 'GitHead' })
export type GitHead = z.infer<typeof GitHead>

export const FileChange = z
  .strictObject({
    path: z.string().meta({ description: 'Relative to the workspace.' }),
    change: z.enum(['created', 'modified', 'deleted']),
    size: z.number().int().optional(),
    sha256: Sha256.optional(),
  })
  .meta({ id: 'FileChange' })
export type FileChange = z.infer<typeof FileChange>

/** What a run changed in its workspace. */
export const WorkspaceEvidence = z
  .strictObject({
    before: ManifestSummary,
    after: ManifestSummary,
    head: z.strictObject({ before: GitHead.optional(), after: GitHead.optional() }).optional().meta({
      description: 'If the workspace is a git repository: HEAD before and after, read from its files.',
    }),
    created: z.number().int(),
    modified: z.number().int(),
    deleted: z.number().int(),
    changes: z.array(FileChange).meta({ description: 'The first ones by path; the counts include all.' }),
    ignored: z.array(z.string()).meta({ description: 'Names of files and folders that were not examined.' }),
    hashLimitBytes: z.number().int().meta({ description: 'Larger files count by their size.' }),
  })
  .meta({ id: 'WorkspaceEvidence' })
export type WorkspaceEvidence = z.infer<typeof WorkspaceEvidence>
