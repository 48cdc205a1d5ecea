import { isAbsolute, join, resolve } from 'node:path'
import * as z from 'zod'
import { ATTACHMENTS_LIMIT, ATTACHMENTS_LIMIT_BYTES } from '../protocol/limits.js'
import { wholeNumber } from '../protocol/numbers.js'
import { PermissionMode } from '../protocol/permission-mode.js'
import { NetworkHost } from '../protocol/sandbox.js'
import { cacheDirectory, defaultDataDir } from './own-folders.js'
import { IDENTITY, NO_IDENTITY } from './git-identity.js'
import { explainRedisUrl, hasPassword, type RedisAccess } from './redis-url.js'
import { readSecretFiles, type SecretFile, type SecretFiles } from './secret-files.js'
import { toTracingSettings, TRACING_VARIABLES, type TracingSettings } from './tracing-settings.js'
import { parseSharedCaches, type SharedCache } from './shared-caches.js'
import { REPOSITORY_VARIABLES, toRepositorySettings, type RepositorySettings } from './repository-settings.js'
import { SANDBOX_VARIABLES, toSandboxSettings, type SandboxSettings } from './sandbox-settings.js'

const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1')
const seconds = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'expected a number of seconds')
    .transform(Number)
    .pipe(z.number().min(minimum).max(maximum))
const amount = z
  .string()
  .regex(/^\d+(\.\d+)?$/, 'expected a number of dollars')
  .transform(Number)
  .pipe(z.number().positive().max(1_000_000))
const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
/** A refresh token goes there. */
const SAFE_URL = /^(?:https:\/\/|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])[:/])/
const absolutePath = z.string().refine(isAbsolute, 'expected an absolute path')
const isWorkspaceName = (name: string): boolean =>
  !isAbsolute(name) && !name.split('/').some((part) => ['', '.', '..'].includes(part))
const MIB = 1024 * 1024

/**
 * Every variable of the service, with its schema, its default as it would be written, and one sentence.
 * The order is the order of `cc-executor config`.
 */
export const VARIABLES = {
  CC_EXECUTOR_HOST: [z.string().min(1), '127.0.0.1', 'address to listen on'],
  CC_EXECUTOR_PORT: [wholeNumber(0, 65_535), '8001', 'port; 0 takes any free one'],
  CC_EXECUTOR_BASE_PATH: [
    z.string().regex(/^(?:\/[\w.~-]+)*$/, 'expected a path such as /cc, without a slash at its end'),
    '',
    'path prefix under which a proxy serves this; prepended to every link',
  ],
  CC_EXECUTOR_DATA_DIR: [absolutePath, undefined, 'token, sessions, workspaces, the embedded Redis'],
  REDIS_URL: [
    z.string().superRefine((url, context) => {
      const message = explainRedisUrl(url)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    }),
    undefined,
    'unset: npm start runs a private Redis',
  ],
  CC_EXECUTOR_REDIS_CA: [absolutePath, undefined, 'rediss://: a private certification authority, a file in PEM'],
  CC_EXECUTOR_REDIS_CERT: [absolutePath, undefined, 'rediss://: the client certificate, if Redis requires one'],
  CC_EXECUTOR_REDIS_KEY: [absolutePath, undefined, 'rediss://: the key of that certificate'],
  CC_EXECUTOR_REDIS_PASSWORD_FILE: [
    absolutePath,
    undefined,
    'holds the password for Redis, if REDIS_URL has none; created by the API if it is missing',
  ],
  CC_EXECUTOR_REDIS_WAIT_SECONDS: [seconds(1, 600), '3', 'how long the start waits for the first response of Redis'],
  CC_EXECUTOR_PREFIX: [
    z.string().regex(/^[\w-]{1,32}$/, 'expected 1 to 32 letters, digits, _ or -'),
    'cc',
    'prefix of every key in Redis',
  ],
  CC_EXECUTOR_AUTH: [z.enum(['token', 'open']), 'token', 'open: no token needed; on loopback only'],
  CC_EXECUTOR_OPEN_IN_CONTAINER: [
    flag,
    'false',
    'set by compose.open.yaml: open on every address of a container whose port is published on loopback only',
  ],
  CC_EXECUTOR_TOKENS: [
    z.string(),
    undefined,
    'name=token:scope+scope, separated by commas; limits follow: `:daily-usd=N`, `:daily-tokens=N`, `:max-concurrent=N`',
  ],
  CC_EXECUTOR_TOKEN_FILE: [absolutePath, undefined, 'one token entry per line; created at the first start'],
  CC_EXECUTOR_ALLOWED_HOSTS: [list, '', 'additional Host values, with port'],
  CC_EXECUTOR_ALLOWED_ORIGINS: [list, '', 'web origins that may call, in addition to its own'],
  CC_EXECUTOR_WORKSPACE_ROOT: [absolutePath, undefined, 'where relative workspaces live'],
  CC_EXECUTOR_ALLOWED_ROOTS: [
    list.pipe(z.array(absolutePath)),
    '',
    'folders in which a workspace may be given as an absolute path',
  ],
  CC_EXECUTOR_ALLOW_HERE: [flag, 'true', 'let the user of this machine allow folders with cc-executor run --here'],
  CC_EXECUTOR_SHARED_WORKSPACES: [
    list.pipe(z.array(z.string().refine(isWorkspaceName, 'expected names of workspaces, as requests write them'))),
    '',
    'named workspaces shared by all tokens, with their content; others belong to the token that used them first',
  ],
  CC_EXECUTOR_CONCURRENCY: [wholeNumber(1, 256), '4', 'concurrent executions of a worker'],
  CC_EXECUTOR_CLAUDE_BIN: [absolutePath, undefined, 'the claude binary'],
  CC_EXECUTOR_CREDENTIAL: [
    z.string().regex(/^[\w.-]{1,64}$/, 'expected a name'),
    undefined,
    "name of this worker's Claude credential, the same for all workers that share it; unset: its kind " +
      '(api_key, oauth_token …)',
  ],
  CC_EXECUTOR_CREDENTIALS_FILE: [
    absolutePath,
    undefined,
    'JSON file of several credentials in place of those of the environment; mode 0600, read again when it changes',
  ],
  CC_EXECUTOR_POOL_LOGINS: [
    flag,
    'false',
    'let that file name more than one subscription (login or oauth_token); the terms of the accounts apply',
  ],
  CC_EXECUTOR_PERMISSION_MODE: [PermissionMode, 'acceptEdits', 'permission mode of runs that do not set one'],
  CC_EXECUTOR_ON_PERMISSION_NEEDED: [
    z.enum(['deny', 'ask']),
    'deny',
    'what a run that does not say does with a call for which Claude Code would ask a person: deny it, or ask (approvals)',
  ],
  CC_EXECUTOR_MAX_OPEN_APPROVALS: [
    wholeNumber(1, 100),
    '20',
    'approvals of one execution that may be pending at once; further calls are denied and may be made again',
  ],
  CC_EXECUTOR_APPROVAL_HOLD_SECONDS: [
    seconds(0, 7 * 24 * 60 * 60),
    '60',
    'how long a worker waits for a decision before a run that does not say is parked (approvalHoldSeconds)',
  ],
  CC_EXECUTOR_MAX_HELD: [
    wholeNumber(1, 256),
    undefined,
    'runs of a worker that may wait beyond that time because they cannot be parked; unset: half of its concurrency. ' +
      'Of more, the calls of the one that waits longest are denied and may be made again',
  ],
  CC_EXECUTOR_STANDBY: [
    wholeNumber(0, 64),
    undefined,
    'how many CLIs a worker keeps started for runs that use its defaults, 170 MB each; 0: none; unset: 1 where 4 GiB ' +
      'of memory are free at the start, otherwise none',
  ],
  CC_EXECUTOR_ALLOWED_TOOLS: [list, '', 'tool rules added to every run'],
  CC_EXECUTOR_CHILD_ENV: [list, '', 'additional variables that a run may see'],
  CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS: [flag, 'false', 'allow permissionMode bypassPermissions'],
  CC_EXECUTOR_ALLOW_AUTO_PERMISSIONS: [
    flag,
    'false',
    'allow permissionMode auto, in which a Claude model judges each call',
  ],
  CC_EXECUTOR_CONTAINMENT: [
    z.enum(['auto', 'required']),
    'auto',
    'required: refuse to run unless both the processes and the file access of runs are contained',
  ],
  CC_EXECUTOR_MCP_TIMEOUT_SECONDS: [
    wholeNumber(1, 600),
    '10',
    'how long the MCP servers of a run may take to connect; the run starts when all states are known',
  ],
  ...SANDBOX_VARIABLES,
  CC_EXECUTOR_LOGIN_TOKEN_URL: [
    z.string().regex(SAFE_URL, 'expected https://, or http:// on the loopback'),
    'https://platform.claude.com/v1/oauth/token',
    'where a worker renews the login of its machine',
  ],
  CC_EXECUTOR_TRUST_WORKSPACES: [flag, 'false', "apply a repository's own settings, hooks and MCP servers"],
  CC_EXECUTOR_SHARED_CACHES: [
    z.string().transform((value, context): SharedCache[] => {
      try {
        return parseSharedCaches(value)
      } catch (error) {
        context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
        return z.NEVER
      }
    }),
    '',
    'caches that runs share: npm, yarn, pip, uv, go, cargo, one for each token; with `npm=/DIR` each run gets a copy ' +
      'of that folder',
  ],
  CC_EXECUTOR_GIT_IDENTITY: [
    z.string().refine((text) => text === NO_IDENTITY || IDENTITY.test(text), 'expected Name <address>, or none'),
    undefined,
    "who the runs are in git, as `Name <address>`, or `none`; unset: `user.name` and `user.email` of the worker's own git " +
      'configuration; nothing else of it is passed on',
  ],
  ...REPOSITORY_VARIABLES,
  CC_EXECUTOR_HOOKS: [
    absolutePath,
    undefined,
    'JSON file of commands that a worker runs before and after an execution',
  ],
  CC_EXECUTOR_ALLOW_VERIFY_COMMANDS: [flag, 'false', 'allow verify.commands from tokens without the admin scope'],
  CC_EXECUTOR_EVIDENCE_IGNORED: [
    list,
    '.git,node_modules',
    'names of files and folders to exclude from the manifests of a workspace',
  ],
  CC_EXECUTOR_MAX_BUDGET_USD: [amount, undefined, "what a run may spend at most, by the CLI's estimate"],
  CC_EXECUTOR_MAX_BUDGET_TOKENS: [
    wholeNumber(1, 1e12),
    undefined,
    'the same in tokens: input, output and cache creation',
  ],
  CC_EXECUTOR_DAILY_BUDGET_USD: [
    amount,
    undefined,
    'what a token may spend on a UTC day; its own entry may override this',
  ],
  CC_EXECUTOR_DAILY_BUDGET_TOKENS: [wholeNumber(1, 1e12), undefined, 'the same in tokens'],
  CC_EXECUTOR_RETENTION_SECONDS: [seconds(1, 10 * 365 * 86_400), '604800', 'how long a finished execution is kept'],
  CC_EXECUTOR_RETENTION_BYTES: [
    wholeNumber(64 * 1024, 1024 * 1024 * MIB),
    String(2048 * MIB),
    'of all finished executions together, in Redis; beyond this the oldest are deleted',
  ],
  CC_EXECUTOR_RETENTION_COUNT: [
    wholeNumber(1, 100_000_000),
    '100000',
    'how many finished executions are kept; beyond this the oldest are deleted',
  ],
  CC_EXECUTOR_MAX_QUEUE: [wholeNumber(1, 10_000_000), '10000', 'waiting executions; beyond this QUEUE_FULL'],
  CC_EXECUTOR_MESSAGE_LIMIT_BYTES: [
    wholeNumber(1, 4 * MIB),
    String(256 * 1024),
    'longest message to an execution, in UTF-8',
  ],
  CC_EXECUTOR_MAX_OPEN_MESSAGES: [
    wholeNumber(1, 10_000),
    '200',
    'messages of an execution that are not delivered yet; beyond this RATE_LIMITED',
  ],
  CC_EXECUTOR_MAX_ATTACHMENTS: [
    wholeNumber(0, ATTACHMENTS_LIMIT),
    '20',
    'images and PDF of one request or message; 0: none',
  ],
  CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES: [
    wholeNumber(1, ATTACHMENTS_LIMIT_BYTES),
    String(10 * MIB),
    'length of one attachment',
  ],
  CC_EXECUTOR_ATTACHMENTS_LIMIT_BYTES: [
    wholeNumber(1, ATTACHMENTS_LIMIT_BYTES),
    String(ATTACHMENTS_LIMIT_BYTES),
    'length of all attachments of one request or message',
  ],
  CC_EXECUTOR_DRAIN_SECONDS: [seconds(0, 86_400), '30', 'how long a stopping worker waits for its runs'],
  CC_EXECUTOR_OUTPUT_LIMIT_BYTES: [wholeNumber(64 * 1024, 4096 * MIB), String(64 * MIB), 'stored events per execution'],
  CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES: [
    wholeNumber(64 * 1024, 1024 * 1024 * MIB),
    String(1024 * MIB),
    'raw output; beyond this a run is stopped',
  ],
  CC_EXECUTOR_LINE_LIMIT_BYTES: [
    wholeNumber(1024, 512 * MIB),
    String(16 * MIB),
    'longest line of the CLI that is parsed; of a longer answer the streamed beginning is kept, marked ' +
      '`isPartial`',
  ],
  CC_EXECUTOR_FILES_LIMIT_BYTES: [
    wholeNumber(0, 1024 * MIB),
    String(16 * MIB),
    'stored content of changed files per execution',
  ],
  CC_EXECUTOR_LOCK_SECONDS: [seconds(0.5, 3600), '30', "a worker's lease on its execution"],
  CC_EXECUTOR_MAX_CONNECTIONS: [
    wholeNumber(1, 1_000_000),
    '10000',
    'WebSocket connections per process, and open MCP requests',
  ],
  CC_EXECUTOR_MAX_TOKENS: [
    wholeNumber(1, 100_000),
    '10000',
    'tokens made by POST /tokens; those of the settings do not count',
  ],
  CC_EXECUTOR_MAX_SCHEDULES: [wholeNumber(1, 1_000_000), '10000', 'schedules of all tokens together'],
  CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN: [wholeNumber(1, 1_000_000), '1000', 'schedules of one token'],
  CC_EXECUTOR_WEBHOOK_HOSTS: [
    list.pipe(z.array(NetworkHost)),
    '',
    'private hosts that webhooks may lead to, such as hooks.internal, localhost:9000 or 10.0.0.5:8080',
  ],
  CC_EXECUTOR_WEBHOOK_TIMEOUT_SECONDS: [seconds(0.1, 60), '15', 'how long an endpoint may take to answer a delivery'],
  CC_EXECUTOR_MAX_WEBHOOKS: [wholeNumber(1, 1_000), '100', 'webhooks of a token'],
  CC_EXECUTOR_MAX_PENDING_DELIVERIES: [
    wholeNumber(1, 1_000_000),
    '10000',
    'deliveries of a webhook that may wait at once; beyond this new ones are dropped and counted',
  ],
  CC_EXECUTOR_MAX_SUBSCRIPTIONS: [wholeNumber(1, 100_000), '1000', 'subscriptions per connection'],
  CC_EXECUTOR_WRITE_DEADLINE_SECONDS: [
    seconds(0.1, 3600),
    '60',
    'how long a reader may accept no data before its socket is closed',
  ],
  CC_EXECUTOR_URL: [
    z.url({ protocol: /^https?$/, error: 'expected http:// or https://' }),
    undefined,
    'the service that run, tail, list … and mcp connect to; unset: the one recorded in the data folder, ' +
      'else 127.0.0.1 and the port',
  ],
  CC_EXECUTOR_TOKEN: [
    z.string(),
    undefined,
    'the token that they send; unset: to this machine, the one in the token file',
  ],
  CC_EXECUTOR_IDLE_SECONDS: [
    seconds(0.2, 30 * 86_400),
    '600',
    'idle time (no client, no execution) after which a service started by cc-executor mcp exits',
  ],
  CC_EXECUTOR_SIMULATOR_URL: [z.url(), undefined, 'set by npm start -- --simulate: a scripted model answers'],
  CC_EXECUTOR_INSTANCE_ID: [
    z.uuid(),
    undefined,
    'set by npm start for its API and its worker: the name under which it is recorded in the data folder',
  ],
  CC_EXECUTOR_ON_DEMAND: [
    flag,
    'false',
    'set by cc-executor start --on-demand for its API: report when idle for CC_EXECUTOR_IDLE_SECONDS',
  ],
  CC_EXECUTOR_METRICS: [
    z.enum(['off', 'token', 'open']),
    'token',
    '/metrics for Prometheus; token: with a token of the read scope, open: for everybody, off: nothing is counted',
  ],
  ...TRACING_VARIABLES,
  CC_EXECUTOR_CLI_TELEMETRY: [
    flag,
    'false',
    'with an OTLP endpoint: runs send the telemetry of Claude Code there; they see the OTEL_* variables',
  ],
  CC_EXECUTOR_PART: [
    z.enum(['api', 'worker']),
    undefined,
    'set by the images: which part of the service this is, for doctor',
  ],
  LOG_LEVEL: [
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    'of the structured log on stderr',
  ],
} as const satisfies Record<string, readonly [z.ZodType, string | undefined, string]>

export type VariableName = keyof typeof VARIABLES
type Values = {
  [Name in VariableName]:
    z.output<(typeof VARIABLES)[Name][0]> | ((typeof VARIABLES)[Name][1] extends string ? never : undefined)
}

/** The configuration of a process. Read once; nothing else reads the environment. */
export interface Config {
  readonly host: string
  readonly port: number
  /** In front of every link; empty, or `/cc`. */
  readonly basePath: string
  readonly dataDir: string
  readonly redisUrl: string | undefined
  readonly redisAccess: RedisAccess
  readonly redisWaitSeconds: number
  readonly prefix: string
  readonly auth: 'token' | 'open'
  readonly tokens: string | undefined
  readonly tokenFile: string
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly workspaceRoot: string
  readonly allowedRoots: readonly string[]
  readonly allowHere: boolean
  readonly sharedWorkspaces: readonly string[]
  readonly concurrency: number
  readonly claudeBin: string | undefined
  readonly credential: string | undefined
  readonly credentialsFile: string | undefined
  readonly poolLogins: boolean
  readonly permissionMode: z.output<typeof PermissionMode>
  readonly onPermissionNeeded: 'deny' | 'ask'
  readonly maxOpenApprovals: number
  readonly approvalHoldSeconds: number
  /** undefined: as much memory as there is tells. */
  readonly standby: number | undefined
  readonly maxHeld: number
  readonly allowedTools: readonly string[]
  readonly childEnv: readonly string[]
  readonly allowBypassPermissions: boolean
  readonly allowAutoPermissions: boolean
  readonly containment: 'auto' | 'required'
  readonly mcpTimeoutSeconds: number
  readonly sandbox: SandboxSettings
  readonly loginTokenUrl: string
  readonly trustWorkspaces: boolean
  readonly sharedCaches: readonly SharedCache[]
  /** `Name <address>` or `none`; undefined: the operator's own. */
  readonly gitIdentity: string | undefined
  readonly repositories: RepositorySettings
  readonly hooksFile: string
  /** It was named: then it must be there. */
  readonly isHooksFileGiven: boolean
  readonly allowVerifyCommands: boolean
  readonly evidenceIgnored: readonly string[]
  readonly maxBudgetUsd: number | undefined
  readonly maxBudgetTokens: number | undefined
  readonly dailyBudgetUsd: number | undefined
  readonly dailyBudgetTokens: number | undefined
  readonly retentionSeconds: number
  readonly retentionBytes: number
  readonly retentionCount: number
  readonly maxQueue: number
  readonly messageLimitBytes: number
  readonly maxOpenMessages: number
  /** Of one request or message. */
  readonly maxAttachments: number
  readonly attachmentLimitBytes: number
  readonly attachmentsLimitBytes: number
  readonly drainSeconds: number
  readonly outputLimitBytes: number
  readonly rawOutputLimitBytes: number
  readonly lineLimitBytes: number
  readonly filesLimitBytes: number
  readonly lockSeconds: number
  readonly maxConnections: number
  readonly maxSubscriptions: number
  readonly maxTokens: number
  readonly maxSchedules: number
  readonly maxSchedulesPerToken: number
  readonly webhookHosts: readonly string[]
  readonly webhookTimeoutSeconds: number
  readonly maxWebhooks: number
  readonly maxPendingDeliveries: number
  readonly writeDeadlineSeconds: number
  /** Where the command line finds the service, and what it sends there. */
  readonly url: string | undefined
  readonly token: string | undefined
  readonly idleSeconds: number
  readonly simulatorUrl: string | undefined
  readonly instanceId: string | undefined
  readonly onDemand: boolean
  readonly metrics: 'off' | 'token' | 'open'
  /** undefined: tracing is off. */
  readonly tracing: TracingSettings | undefined
  /** Runs send the CLI's own telemetry. */
  readonly cliTelemetry: boolean
  /** Of a container's image; undefined: all of it may be here. */
  readonly part: 'api' | 'worker' | undefined
  readonly logLevel: string
  /** Where secrets of the environment were read from: no run sees them. */
  readonly secretFiles: readonly SecretFile[]
  /** Where set-up puts Redis, the CLI and the containment tools when the system has none. */
  readonly cacheBin: string
  /** The environment of the process, from which a run's allow-listed variables are taken. */
  readonly environment: NodeJS.ProcessEnv
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const LOOPBACK_HOSTS = new Set(['127.0.0.1', '::1', 'localhost'])
export const isLoopback = (host: string): boolean => LOOPBACK_HOSTS.has(host)

function openSecretFiles(environment: NodeJS.ProcessEnv): SecretFiles {
  try {
    return readSecretFiles(environment)
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function readValues(environment: NodeJS.ProcessEnv): Values {
  const values: Record<string, unknown> = {}
  for (const [name, [schema, fallback]] of Object.entries(VARIABLES)) {
    // An empty variable counts as unset: compose files hand over empty ones.
    const text = environment[name] || fallback
    if (text === undefined) continue
    const parsed = schema.safeParse(text)
    if (!parsed.success) {
      // The more so as it is no URL: nobody knows where in it the password ends.
      const shown = name.endsWith('_URL') ? text.replace(/^.*@/s, '…@') : text
      throw new ConfigError(
        `${name}: ${parsed.error.issues[0]?.message ?? 'not valid'} ` +
          `(${VARIABLES[name as VariableName][2]}); it is ${JSON.stringify(shown)}.`,
      )
    }
    values[name] = parsed.data
  }
  // Safe: each key went through its own schema in the loop above.
  return values as Values
}

function readTracing(values: Values, environment: NodeJS.ProcessEnv): TracingSettings | undefined {
  try {
    return toTracingSettings(values, environment)
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Reads and checks the configuration. @throws ConfigError naming the variable and what is expected */
export function readConfig(given: NodeJS.ProcessEnv = process.env): Config {
  const { environment, files: secretFiles } = openSecretFiles(given)
  const values = readValues(environment)
  const dataDir = resolve(values.CC_EXECUTOR_DATA_DIR ?? defaultDataDir(environment))
  if (values.CC_EXECUTOR_REDIS_PASSWORD_FILE !== undefined && hasPassword(values.REDIS_URL))
    throw new ConfigError('CC_EXECUTOR_REDIS_PASSWORD_FILE: REDIS_URL also has a password; unset one of them.')
  if (
    values.CC_EXECUTOR_AUTH === 'open' &&
    !isLoopback(values.CC_EXECUTOR_HOST) &&
    !values.CC_EXECUTOR_OPEN_IN_CONTAINER
  ) {
    throw new ConfigError(
      'CC_EXECUTOR_AUTH: open is allowed on a loopback address only; set CC_EXECUTOR_HOST to 127.0.0.1 ' +
        'or use a token (in a container: deployment/compose.open.yaml).',
    )
  }
  const credentialsFile = values.CC_EXECUTOR_CREDENTIALS_FILE
  const repositories = toRepositorySettings(values)
  const gitFile = repositories.credentialsFile
  if (credentialsFile !== undefined && values.CC_EXECUTOR_CREDENTIAL !== undefined)
    throw new ConfigError('CC_EXECUTOR_CREDENTIAL: the entries of CC_EXECUTOR_CREDENTIALS_FILE have names; unset it.')
  return {
    host: values.CC_EXECUTOR_HOST,
    port: values.CC_EXECUTOR_PORT,
    basePath: values.CC_EXECUTOR_BASE_PATH,
    dataDir,
    redisUrl: values.REDIS_URL,
    redisAccess: {
      ca: values.CC_EXECUTOR_REDIS_CA,
      cert: values.CC_EXECUTOR_REDIS_CERT,
      key: values.CC_EXECUTOR_REDIS_KEY,
      passwordFile: values.CC_EXECUTOR_REDIS_PASSWORD_FILE,
    },
    redisWaitSeconds: values.CC_EXECUTOR_REDIS_WAIT_SECONDS,
    prefix: values.CC_EXECUTOR_PREFIX,
    auth: values.CC_EXECUTOR_AUTH,
    tokens: values.CC_EXECUTOR_TOKENS,
    tokenFile: values.CC_EXECUTOR_TOKEN_FILE ?? join(dataDir, 'token'),
    allowedHosts: values.CC_EXECUTOR_ALLOWED_HOSTS,
    allowedOrigins: values.CC_EXECUTOR_ALLOWED_ORIGINS,
    workspaceRoot: values.CC_EXECUTOR_WORKSPACE_ROOT ?? join(dataDir, 'workspaces'),
    allowedRoots: values.CC_EXECUTOR_ALLOWED_ROOTS,
    allowHere: values.CC_EXECUTOR_ALLOW_HERE,
    sharedWorkspaces: values.CC_EXECUTOR_SHARED_WORKSPACES,
    concurrency: values.CC_EXECUTOR_CONCURRENCY,
    claudeBin: values.CC_EXECUTOR_CLAUDE_BIN,
    credential: values.CC_EXECUTOR_CREDENTIAL,
    credentialsFile,
    poolLogins: values.CC_EXECUTOR_POOL_LOGINS,
    permissionMode: values.CC_EXECUTOR_PERMISSION_MODE,
    onPermissionNeeded: values.CC_EXECUTOR_ON_PERMISSION_NEEDED,
    maxOpenApprovals: values.CC_EXECUTOR_MAX_OPEN_APPROVALS,
    approvalHoldSeconds: values.CC_EXECUTOR_APPROVAL_HOLD_SECONDS,
    maxHeld: values.CC_EXECUTOR_MAX_HELD ?? Math.max(1, Math.floor(values.CC_EXECUTOR_CONCURRENCY / 2)),
    standby: values.CC_EXECUTOR_STANDBY,
    allowedTools: values.CC_EXECUTOR_ALLOWED_TOOLS,
    childEnv: values.CC_EXECUTOR_CHILD_ENV,
    allowBypassPermissions: values.CC_EXECUTOR_ALLOW_BYPASS_PERMISSIONS,
    allowAutoPermissions: values.CC_EXECUTOR_ALLOW_AUTO_PERMISSIONS,
    containment: values.CC_EXECUTOR_CONTAINMENT,
    mcpTimeoutSeconds: values.CC_EXECUTOR_MCP_TIMEOUT_SECONDS,
    sandbox: toSandboxSettings(values),
    loginTokenUrl: values.CC_EXECUTOR_LOGIN_TOKEN_URL,
    trustWorkspaces: values.CC_EXECUTOR_TRUST_WORKSPACES,
    sharedCaches: values.CC_EXECUTOR_SHARED_CACHES,
    gitIdentity: values.CC_EXECUTOR_GIT_IDENTITY,
    repositories,
    hooksFile: values.CC_EXECUTOR_HOOKS ?? join(dataDir, 'hooks.json'),
    isHooksFileGiven: values.CC_EXECUTOR_HOOKS !== undefined,
    allowVerifyCommands: values.CC_EXECUTOR_ALLOW_VERIFY_COMMANDS,
    evidenceIgnored: values.CC_EXECUTOR_EVIDENCE_IGNORED,
    maxBudgetUsd: values.CC_EXECUTOR_MAX_BUDGET_USD,
    maxBudgetTokens: values.CC_EXECUTOR_MAX_BUDGET_TOKENS,
    dailyBudgetUsd: values.CC_EXECUTOR_DAILY_BUDGET_USD,
    dailyBudgetTokens: values.CC_EXECUTOR_DAILY_BUDGET_TOKENS,
    retentionSeconds: values.CC_EXECUTOR_RETENTION_SECONDS,
    retentionBytes: values.CC_EXECUTOR_RETENTION_BYTES,
    retentionCount: values.CC_EXECUTOR_RETENTION_COUNT,
    maxQueue: values.CC_EXECUTOR_MAX_QUEUE,
    messageLimitBytes: values.CC_EXECUTOR_MESSAGE_LIMIT_BYTES,
    maxOpenMessages: values.CC_EXECUTOR_MAX_OPEN_MESSAGES,
    maxAttachments: values.CC_EXECUTOR_MAX_ATTACHMENTS,
    attachmentLimitBytes: values.CC_EXECUTOR_ATTACHMENT_LIMIT_BYTES,
    attachmentsLimitBytes: values.CC_EXECUTOR_ATTACHMENTS_LIMIT_BYTES,
    drainSeconds: values.CC_EXECUTOR_DRAIN_SECONDS,
    outputLimitBytes: values.CC_EXECUTOR_OUTPUT_LIMIT_BYTES,
    rawOutputLimitBytes: values.CC_EXECUTOR_RAW_OUTPUT_LIMIT_BYTES,
    lineLimitBytes: values.CC_EXECUTOR_LINE_LIMIT_BYTES,
    filesLimitBytes: values.CC_EXECUTOR_FILES_LIMIT_BYTES,
    lockSeconds: values.CC_EXECUTOR_LOCK_SECONDS,
    maxConnections: values.CC_EXECUTOR_MAX_CONNECTIONS,
    maxSubscriptions: values.CC_EXECUTOR_MAX_SUBSCRIPTIONS,
    maxTokens: values.CC_EXECUTOR_MAX_TOKENS,
    maxSchedules: values.CC_EXECUTOR_MAX_SCHEDULES,
    maxSchedulesPerToken: values.CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN,
    webhookHosts: values.CC_EXECUTOR_WEBHOOK_HOSTS,
    webhookTimeoutSeconds: values.CC_EXECUTOR_WEBHOOK_TIMEOUT_SECONDS,
    maxWebhooks: values.CC_EXECUTOR_MAX_WEBHOOKS,
    maxPendingDeliveries: values.CC_EXECUTOR_MAX_PENDING_DELIVERIES,
    writeDeadlineSeconds: values.CC_EXECUTOR_WRITE_DEADLINE_SECONDS,
    url: values.CC_EXECUTOR_URL,
    token: values.CC_EXECUTOR_TOKEN,
    idleSeconds: values.CC_EXECUTOR_IDLE_SECONDS,
    simulatorUrl: values.CC_EXECUTOR_SIMULATOR_URL,
    instanceId: values.CC_EXECUTOR_INSTANCE_ID,
    onDemand: values.CC_EXECUTOR_ON_DEMAND,
    metrics: values.CC_EXECUTOR_METRICS,
    tracing: readTracing(values, environment),
    cliTelemetry: values.CC_EXECUTOR_CLI_TELEMETRY,
    part: values.CC_EXECUTOR_PART,
    logLevel: values.LOG_LEVEL,
    secretFiles: [
      ...secretFiles,
      ...(credentialsFile === undefined ? [] : [{ path: credentialsFile, setting: 'CC_EXECUTOR_CREDENTIALS_FILE' }]),
      ...(gitFile === undefined ? [] : [{ path: gitFile, setting: 'CC_EXECUTOR_GIT_CREDENTIALS_FILE' }]),
    ],
    cacheBin: join(cacheDirectory(environment), 'bin'),
    environment,
  }
}
