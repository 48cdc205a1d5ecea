import * as z from 'zod'
import { HooksState } from './hooks.js'
import { Timestamp } from './ids.js'
import { Qualities, SandboxLevel } from './sandbox.js'

const AuthenticationMethod = z.enum([
  'api_key',
  'auth_token',
  'oauth_token',
  'login',
  'bedrock',
  'vertex',
  'foundry',
  'simulated',
  'none',
])

export const ClaudeAuthentication = z
  .object({
    method: AuthenticationMethod,
    source: z.string().meta({ description: 'The variable or file it comes from, never its value.' }),
    billed: z.boolean().meta({ description: 'Whether use is billed per token.' }),
    message: z.string(),
    remedy: z.string().optional(),
  })
  .meta({ id: 'ClaudeAuthentication' })
export type ClaudeAuthentication = z.infer<typeof ClaudeAuthentication>

export const ClaudeAccountState = z
  .object({
    credentialExpiresAt: Timestamp.optional().meta({
      description: 'When the stored claude.ai login can no longer be renewed; sign in again with `claude` before.',
    }),
    limits: z
      .array(
        z.object({
          name: z.string().meta({ description: 'As Claude names it: `five_hour`, `seven_day`, …' }),
          status: z.string().meta({ description: '`allowed`, `allowed_warning` or `rejected`.' }),
          utilization: z.number().optional().meta({ description: 'The used fraction, from 0 to 1.' }),
          resetsAt: Timestamp.optional(),
        }),
      )
      .optional(),
  })
  .meta({
    id: 'ClaudeAccountState',
    description: 'What the last runs of a worker reported about their account; only for a subscription or a login.',
  })
export type ClaudeAccountState = z.infer<typeof ClaudeAccountState>

/** One of a worker's credentials, as the worker knows it. */
const WorkerCredential = z.object({
  name: z.string(),
  method: AuthenticationMethod,
  billed: z.boolean(),
  weight: z.number(),
  problem: z.string().optional(),
  account: ClaudeAccountState.optional(),
})
export type WorkerCredential = z.infer<typeof WorkerCredential>

/** What a worker says of itself, renewed as long as it lives. */
export const WorkerState = z
  .object({
    id: z.string(),
    host: z.string(),
    pid: z.number().int(),
    startedAt: Timestamp,
    concurrency: z.number().int(),
    running: z.number().int(),
    draining: z.boolean(),
    pausedBecause: z.string().optional().meta({ description: 'Why it takes no jobs from the queue at present.' }),
    credential: z.string().meta({ description: "The name of this worker's credential, or of the first of several." }),
    credentials: z.array(WorkerCredential).optional(),
    credentialsProblem: z.string().optional(),
    containment: z.object({
      level: z.enum(['bubblewrap', 'unshare', 'weak']),
      strong: z.boolean(),
      detail: z.string(),
      files: z.boolean().optional(),
      sandboxes: z.array(SandboxLevel).optional().meta({ description: 'Levels that this worker runs executions at.' }),
    }),
    claude: z.object({
      found: z.boolean(),
      version: z.string().optional(),
      defaultModel: z.string().optional(),
      tested: z.boolean(),
      message: z.string(),
    }),
    authentication: ClaudeAuthentication,
    permissionMode: z.string(),
    hooks: HooksState.optional(),
    account: ClaudeAccountState.optional(),
    standby: z
      .object({ ready: z.number().int(), wanted: z.number().int() })
      .optional()
      .meta({ description: 'How many CLIs stand by, of how many that should.' }),
  })
  .meta({ id: 'WorkerState' })
export type WorkerState = z.infer<typeof WorkerState>

export const BlockedCredential = z
  .object({ credential: z.string(), until: Timestamp })
  .meta({ id: 'BlockedCredential', description: 'A credential whose limit is reached, and when it can be used again.' })
export type BlockedCredential = z.infer<typeof BlockedCredential>

export const CredentialState = z
  .object({
    name: z.string(),
    method: AuthenticationMethod,
    billed: z.boolean().meta({ description: 'Whether use is billed per token.' }),
    workers: z.number().int().meta({ description: 'How many connected workers have it.' }),
    blockedUntil: Timestamp.optional().meta({
      description: 'Its limit is reached: no execution starts with it before.',
    }),
    account: ClaudeAccountState.optional(),
    problem: z.string().optional().meta({ description: 'Why no execution can use it, and what to do.' }),
    warning: z
      .string()
      .optional()
      .meta({ description: 'What will need attention: a login that expires within ten days.' }),
  })
  .meta({ id: 'CredentialState', description: 'A credential by its name, as the connected workers know it.' })
export type CredentialState = z.infer<typeof CredentialState>

export const QueueState = z
  .object({
    depth: z.number().int().meta({ description: 'Executions waiting.' }),
    byPriority: z.object({ low: z.number().int(), normal: z.number().int(), high: z.number().int() }),
    waitingForWorkspace: z.number().int(),
    waitingForRetry: z
      .number()
      .int()
      .meta({ description: 'Waiting for a start time; see `notBefore` of an execution.' }),
    waitingForApproval: z.number().int().meta({ description: 'Parked until a decision; not part of `depth`.' }),
    waitingForBudget: z.number().int().meta({ description: 'Parked until a higher budget; not part of `depth`.' }),
    running: z.number().int().meta({ description: 'Started and not finished, including paused ones.' }),
    paused: z.number().int(),
    capacity: z.number().int().meta({ description: 'How many can run concurrently on all workers.' }),
    workers: z
      .array(
        z.object({
          id: z.string(),
          host: z.string(),
          running: z.number().int(),
          concurrency: z.number().int(),
          draining: z.boolean(),
          credential: z.string(),
          credentials: z
            .array(z.string())
            .optional()
            .meta({ description: 'Names of all its credentials, if it has several.' }),
          pausedBecause: z.string().optional(),
        }),
      )
      .meta({ description: 'A worker with `pausedBecause` accepts no work; its slots are not counted in `capacity`.' }),
    blockedCredentials: z.array(BlockedCredential).meta({
      description:
        'No execution starts with one of these until then. A worker that has no other credential accepts no work; ' +
        'its slots are not counted in `capacity`.',
    }),
    credentials: z.array(CredentialState).optional().meta({
      description: 'Every credential of the connected workers, with its limits as far as they are known.',
    }),
    maxDepth: z
      .number()
      .int()
      .meta({ description: 'With this many waiting, submissions are rejected with QUEUE_FULL.' }),
    estimatedWaitSeconds: z
      .number()
      .nullable()
      .meta({
        description:
          'For a new execution of normal priority, estimated from earlier runs; null if unknown. Executions that ' +
          'their token’s `maxConcurrent` holds back count as ahead of it, so it may start earlier; the limit of the ' +
          'new one’s own token is not considered.',
      }),
    estimatedStartAt: Timestamp.nullable().meta({ description: 'The same as a time.' }),
    estimateSamples: z.number().int().meta({
      description: 'Number of earlier runs behind this estimate, at most the last 200. Not needed if a slot is free.',
    }),
  })
  .meta({ id: 'QueueState' })
export type QueueState = z.infer<typeof QueueState>

export const Health = z
  .object({
    status: z.literal('ok'),
    service: z.literal('cc-executor'),
    version: z.string(),
    uptimeSeconds: z.number(),
    simulated: z.boolean(),
    instanceId: z
      .string()
      .meta({ description: 'Of this service; constant while its cc-executor start process lives.' }),
  })
  .meta({ id: 'Health', description: 'Returned while the process serves; /health/ready checks more.' })
export type Health = z.infer<typeof Health>

const PartState = z.object({ status: z.enum(['ok', 'degraded', 'failed']), message: z.string() })

export const Readiness = z
  .object({
    status: z.enum(['ok', 'failed']),
    parts: z.object({
      redis: PartState,
      queue: PartState.extend({ depth: z.number().int().optional() }),
      workers: PartState.extend({
        count: z.number().int(),
        blockedCredentials: z.array(BlockedCredential).optional(),
        standby: z
          .number()
          .int()
          .optional()
          .meta({ description: 'CLIs of all workers that are started and wait for an execution.' }),
      }),
      claude: PartState.extend({
        version: z.string().optional(),
        defaultModel: z.string().optional(),
        authentication: ClaudeAuthentication.optional(),
        account: ClaudeAccountState.optional(),
        credentials: z.array(CredentialState).optional(),
      }),
      containment: PartState.extend({
        level: z.string().optional(),
        ...Qualities.partial().shape,
        sandboxes: z.array(SandboxLevel).optional(),
      }),
    }),
  })
  .meta({ id: 'Readiness' })
export type Readiness = z.infer<typeof Readiness>

export const AuthStatus = z
  .object({
    authenticated: z.boolean(),
    workers: z.array(z.object({ workerId: z.string(), credential: z.string(), authentication: ClaudeAuthentication })),
    message: z.string(),
    remedy: z.string().optional(),
  })
  .meta({ id: 'AuthStatus', description: 'How Claude is authenticated, as seen by the workers.' })
export type AuthStatus = z.infer<typeof AuthStatus>
