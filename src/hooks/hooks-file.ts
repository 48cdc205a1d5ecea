import { open } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import * as z from 'zod'
import { ConfigError } from '../platform/config.js'
import { toFieldErrors } from '../protocol/errors.js'
import { HOOK_STAGES, type HookStage } from '../protocol/hooks.js'

const DEFAULT_TIMEOUT_SECONDS = 30
const LONGEST_SECONDS = 600
const HOOKS_PER_STAGE = 20
const FILE_LIMIT_BYTES = 256 * 1024
/** Claude's own travel as one argument, and Linux takes none longer than 128 KiB. */
const CLAUDE_LIMIT_BYTES = 100 * 1024

const text = z
  .string()
  .min(1, 'must not be empty')
  .refine((value) => !value.includes('\0'), 'must not contain NUL characters')
const timeoutSeconds = z.number().min(0.1).max(LONGEST_SECONDS)
const variable = z.string().regex(/^[A-Za-z_]\w*$/, 'expected the name of a variable')
const environment = {
  env: z
    .record(
      variable,
      z.string().refine((value) => !value.includes('\0'), 'must not contain NUL characters'),
    )
    .optional(),
  passEnv: z.array(variable).optional(),
}

const Entry = z.preprocess(
  (entry) => (typeof entry === 'string' ? { command: entry } : entry),
  z.strictObject({
    command: z.custom<string | string[]>(
      (value) => z.union([text, z.array(text).min(1)]).safeParse(value).success,
      'expected a shell command line, or an array of program and arguments',
    ),
    name: z
      .string()
      .regex(/^[^\p{Cc}]{1,64}$/u, 'expected 1 to 64 characters on one line')
      .optional(),
    timeoutSeconds: timeoutSeconds.optional(),
    required: z.boolean().optional(),
    cwd: z.enum(['hooks', 'workspace']).optional(),
    ...environment,
  }),
)
const Stage = z.preprocess((stage) => (Array.isArray(stage) ? stage : [stage]), z.array(Entry).max(HOOKS_PER_STAGE))

/** Claude's own format for one event, as far as it must be right for the CLI to take it. */
const ClaudeGroups = z.array(
  z.looseObject({ matcher: z.string().optional(), hooks: z.array(z.looseObject({ type: z.string() })).min(1) }),
)
const ClaudeEvents = z
  .record(z.string(), ClaudeGroups)
  .superRefine((events, check) => {
    for (const name of Object.keys(events))
      if (!/^[A-Z][A-Za-z]+$/.test(name))
        check.addIssue({
          code: 'custom',
          path: [name],
          message: 'is not a hook event of Claude; they are written like PreToolUse',
        })
  })
  .refine(
    (events) => Buffer.byteLength(JSON.stringify(events)) <= CLAUDE_LIMIT_BYTES,
    `must not be longer than ${CLAUDE_LIMIT_BYTES} bytes`,
  )

const HooksFile = z.strictObject({
  $schema: z.string().optional(),
  timeoutSeconds: timeoutSeconds.optional(),
  ...environment,
  ...(Object.fromEntries(HOOK_STAGES.map((stage) => [stage, Stage.optional()])) as Record<
    HookStage,
    z.ZodOptional<typeof Stage>
  >),
  claude: ClaudeEvents.optional(),
})

export interface Hook {
  readonly name: string
  /** Program and arguments; a program with a slash is an absolute path. */
  readonly argv: readonly [string, ...string[]]
  readonly timeoutMs: number
  /** Before an execution or a task list: it does not start unless this hook exits with 0. */
  readonly required: boolean
  /** `folder`: that of the file; `workspace`: the execution's, which an agent has written in. */
  readonly cwd: 'folder' | 'workspace'
  readonly env: Readonly<Record<string, string>>
  /** Variables of the worker's that it sees, beyond the harmless ones. */
  readonly passEnv: readonly string[]
}

/** The operator's hooks, as they were when the worker started. */
export interface Hooks {
  readonly path: string
  readonly folder: string
  readonly timeoutSeconds: number
  readonly stages: Readonly<Record<HookStage, readonly Hook[]>>
  /** Claude's own, by event, in the format of its settings. */
  readonly claude: Readonly<Record<string, z.output<typeof ClaudeGroups>>>
}

type HooksPlace = { readonly hooksFile: string; readonly isHooksFileGiven: boolean }

/** The file's text; undefined where there is none and none was asked for. */
async function readText({ hooksFile, isHooksFileGiven }: HooksPlace): Promise<string | undefined> {
  try {
    const file = await open(hooksFile, 'r')
    try {
      const { mode, size } = await file.stat()
      // Whoever can write it can run programs as the worker.
      if ((mode & 0o002) !== 0)
        throw new ConfigError(`${hooksFile}: it is writable by every user of this machine; run chmod o-w on it.`)
      if (size > FILE_LIMIT_BYTES) throw new ConfigError(`${hooksFile}: is longer than ${FILE_LIMIT_BYTES} bytes.`)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // Safe: node:fs rejects with errno exceptions.
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && !isHooksFileGiven) return undefined
    throw new ConfigError(`${hooksFile}: the hooks cannot be read (${code}); correct CC_EXECUTOR_HOOKS or the file.`)
  }
}

function parse(path: string, content: string): z.output<typeof HooksFile> {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch (error) {
    throw new ConfigError(`${path}: is not valid JSON (${error instanceof Error ? error.message : String(error)}).`)
  }
  const parsed = HooksFile.safeParse(json)
  if (parsed.success) return parsed.data
  const [first] = toFieldErrors(parsed.error)
  throw new ConfigError(`${path}: ${first?.path ? `${first.path}: ` : ''}${first?.message ?? 'is not valid'}.`)
}

/** Reads the operator's hooks. @throws ConfigError naming file and field, in one sentence */
export async function readHooks(place: HooksPlace): Promise<Hooks> {
  const path = resolve(place.hooksFile)
  const folder = dirname(path)
  const content = await readText(place)
  const file = content === undefined ? {} : parse(path, content)
  const toHook = (stage: HookStage, entry: z.output<typeof Entry>, index: number): Hook => {
    const [program = '', ...args] = typeof entry.command === 'string' ? ['/bin/sh', '-c', entry.command] : entry.command
    return {
      name: entry.name ?? `${stage} ${index + 1}`,
      argv: [program.includes('/') && !isAbsolute(program) ? resolve(folder, program) : program, ...args],
      timeoutMs: (entry.timeoutSeconds ?? file.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1_000,
      required: entry.required ?? false,
      cwd: entry.cwd === 'workspace' ? 'workspace' : 'folder',
      env: { ...file.env, ...entry.env },
      passEnv: [...(file.passEnv ?? []), ...(entry.passEnv ?? [])],
    }
  }
  const toStage = (stage: HookStage): Hook[] => (file[stage] ?? []).map((entry, index) => toHook(stage, entry, index))
  return {
    path,
    folder,
    timeoutSeconds: file.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
    // Safe: one entry for each.
    stages: Object.fromEntries(HOOK_STAGES.map((stage) => [stage, toStage(stage)])) as Record<HookStage, Hook[]>,
    claude: file.claude ?? {},
  }
}

/** What is there to run: stages, and Claude's own events. */
export const listConfigured = ({ stages, claude }: Hooks): string[] => [
  ...HOOK_STAGES.filter((stage) => stages[stage].length > 0),
  ...Object.keys(claude).map((event) => `claude:${event}`),
]
