import * as z from 'zod'
import { SentAttachments } from './attachments.js'
import { AppliesTo, Approval, ApprovalId } from './approvals.js'
import { TimeoutEstimate } from './estimate.js'
import {
  ExecutionStatus,
  Outcome,
  OutcomeCode,
  ParkReason,
  PermissionDenial,
  RetryReason,
  TerminalStatus,
  Usage,
} from './execution.js'
import { HookFinished } from './hooks.js'
import { ExecutionId, Timestamp } from './ids.js'
import { MESSAGE_EVENTS } from './messages.js'
import { ProjectInstructions } from './project-instructions.js'
import { StartedRepository } from './repositories.js'
import { LimitKind, RunContainment } from './sandbox.js'
import { CostSoFar, NewBudget } from './usage.js'
import { StartedWorktree } from './worktrees.js'

const control = z.object({
  by: z.string().meta({ description: 'The name of the token, or the part of the service, that requested it.' }),
  reason: z.string().optional(),
})

/** A task of the CLI that goes on beside the conversation: a command, a subagent, … */
export const BackgroundTask = z.object({
  id: z.string(),
  kind: z.string().meta({ description: 'As the CLI reports it: `local_bash`, `local_agent`, …' }),
  description: z.string(),
})
export type BackgroundTask = z.infer<typeof BackgroundTask>

/** The data of every event type, by type. What is published here only grows. */
export const EVENT_DATA = {
  'execution.queued': z.object({
    position: z.number().int(),
    requestDigest: z.string().meta({ description: 'SHA-256 of the validated request, hex.' }),
    timeoutEstimate: TimeoutEstimate.optional(),
  }),
  'execution.started': z.object({
    attempt: z.number().int(),
    workerId: z.string(),
    pid: z.number().int().meta({ description: 'On the host.' }),
    pgid: z.number().int(),
    claudeVersion: z.string(),
    model: z.string().optional().meta({ description: 'The model asked for; absent: the CLI’s default.' }),
    sessionId: z.string(),
    workspace: z.string(),
    worktree: StartedWorktree.optional().meta({
      description: 'If the run works in a separate git worktree (`worktree`).',
    }),
    repository: StartedRepository.optional().meta({ description: 'Of a run on a repository.' }),
    argv: z.array(z.string()).meta({ description: 'The command line, redacted.' }),
    resumed: z
      .boolean()
      .optional()
      .meta({ description: 'true: this attempt continues the session of the previous one.' }),
    containment: RunContainment.optional(),
    credential: z.string().optional().meta({ description: 'The name of the credential that this attempt uses.' }),
    attachments: SentAttachments.meta({ description: 'Those of the request, as this attempt hands them to the CLI.' }),
    projectInstructions: ProjectInstructions.optional().meta({
      description: 'What the workspace says to Claude; absent where it says nothing, or is trusted.',
    }),
    standby: z.literal(true).optional().meta({ description: 'The CLI was started before and waited for it.' }),
  }),
  'text.delta': z.object({
    message: z
      .number()
      .int()
      .meta({ description: 'Index of the message; the concatenated deltas of a message are its text.' }),
    text: z.string(),
  }),
  'text.reset': z.object({
    message: z.number().int().meta({ description: 'Discard what was streamed of this message: it starts again.' }),
  }),
  'claude.message': z.object({
    message: z.record(z.string(), z.unknown()).meta({
      description: "One complete, unmodified message of the CLI's stream-json output. The CLI defines its format.",
    }),
  }),
  'tool.started': z.object({
    toolUseId: z.string(),
    name: z.string(),
    input: z.string().meta({ description: 'JSON, shortened.' }),
    inputDigest: z.string(),
  }),
  'tool.finished': z.object({ toolUseId: z.string(), name: z.string(), isError: z.boolean(), durationMs: z.number() }),
  'tool.denied': PermissionDenial,
  'approval.requested': z.object({ approval: Approval }),
  'approval.decided': z.object({
    approvalId: ApprovalId,
    decision: z.enum(['allow', 'deny', 'answer']),
    appliesTo: AppliesTo,
    by: z.string().meta({ description: 'The name of the token that decided.' }),
    message: z.string().optional(),
  }),
  'approval.expired': z.object({ approvalId: ApprovalId }),
  'approval.withdrawn': z.object({ approvalId: ApprovalId }),
  'mcp.status': z.object({
    servers: z
      .array(
        z.object({
          name: z.string(),
          status: z.string().meta({
            description:
              'As the CLI reports it: `connected`, `failed`, `pending` (not connected in time), `needs-auth`, ' +
              '`disabled`.',
          }),
          tools: z.array(z.string()).optional().meta({ description: 'The names of its tools, at most 200.' }),
          error: z.string().optional(),
        }),
      )
      .meta({
        description:
          'The servers of `mcpServers`: sent once after the connection attempts, and again when a state changes.',
      }),
  }),
  output: z.object({
    stream: z.enum(['stdout', 'stderr']),
    data: z.string().meta({ description: 'A line that was not stream-json.' }),
  }),
  progress: z.object({
    turns: z.number(),
    toolsUsed: z.number(),
    inputTokens: z.number(),
    outputTokens: z.number(),
    costUsd: CostSoFar.optional(),
    elapsedMs: z.number(),
  }),
  'execution.paused': control,
  'execution.resumed': control,
  'execution.cancel_requested': control,
  ...MESSAGE_EVENTS,
  'execution.retrying': z.object({
    reason: RetryReason,
    nextAttempt: z.number().int(),
    notBefore: Timestamp.optional().meta({
      description: 'The next attempt starts no earlier than this; absent: as soon as a worker is free.',
    }),
    message: z.string().optional().meta({ description: 'Human-readable description.' }),
  }),
  'execution.parked': z.object({
    reason: ParkReason,
    until: Timestamp.meta({ description: 'It ends then, unless it continues before.' }),
    notBefore: Timestamp.optional().meta({ description: 'It continues by itself at this time.' }),
    message: z.string().optional().meta({ description: 'Human-readable: what it waits for.' }),
  }),
  'execution.unparked': z.object({
    reason: ParkReason,
    by: control.shape.by,
  }),
  'execution.budget_changed': NewBudget.extend({ by: control.shape.by }),
  'task.started': z.object({
    index: z.number().int().meta({ description: 'From 0.' }),
    executionId: ExecutionId,
    status: ExecutionStatus,
  }),
  'task.finished': z.object({
    index: z.number().int(),
    executionId: ExecutionId,
    status: TerminalStatus,
    code: OutcomeCode.optional().meta({ description: 'Absent if it succeeded.' }),
  }),
  'background.waiting': z.object({
    tasks: z.array(BackgroundTask),
    until: Timestamp.meta({ description: 'Latest end of the wait, unless the run is paused in the meantime.' }),
    message: z.string().meta({ description: 'Human-readable: what the run is waiting for, and how to end the wait.' }),
  }),
  'background.finished': z.object({
    id: z.string(),
    kind: z.string(),
    status: z.enum(['completed', 'failed', 'stopped']),
  }),
  'log.truncated': z.object({
    droppedBytes: z.number(),
    limit: z.number(),
    reason: z.enum(['line', 'stored']).meta({
      description: '`line`: a line exceeded the maximum length; `stored`: the log of this execution is full.',
    }),
    sha256: z.string().optional().meta({ description: 'Of the dropped line.' }),
  }),
  'sandbox.denied': z.object({
    host: z.string().meta({ description: 'Host and port that a run without network requested from the proxy.' }),
    count: z.number().int().meta({
      description: 'Number of requests since the previous event for this host; at most one event per second.',
    }),
  }),
  'limit.reached': z.object({ kind: LimitKind, limit: z.number().meta({ description: 'Bytes, or a count.' }) }),
  'hook.finished': HookFinished,
  'execution.finished': z.object({ outcome: Outcome, usage: Usage }),
} as const

export type EventType = keyof typeof EVENT_DATA
export const EVENT_TYPES = Object.keys(EVENT_DATA) as [EventType, ...EventType[]]
export type EventData<Type extends EventType> = z.infer<(typeof EVENT_DATA)[Type]>

/** An immutable fact of an execution's log. */
export interface Event<Type extends EventType = EventType> {
  /** From 1, without gaps. A client's cursor is the last one that it has seen. */
  readonly seq: number
  readonly type: Type
  readonly at: string
  readonly attempt: number
  readonly data: EventData<Type>
}

/**
 * What a writer hands to the log, which gives it its seq. `rawMessage` takes the place of `data` for a message of the
 * CLI that passes with its bytes as they came. `bytes`: these, where they are ASCII and nothing in them was changed.
 */
export type NewEvent =
  | { [Type in EventType]: { readonly type: Type; readonly data: EventData<Type> } }[EventType]
  | { readonly type: 'claude.message'; readonly rawMessage: string; readonly bytes?: Uint8Array | undefined }

function eventSchema<Type extends EventType>(type: Type) {
  return z
    .object({
      seq: z.number().int().min(1),
      type: z.literal(type),
      at: Timestamp,
      attempt: z.number().int(),
      data: EVENT_DATA[type],
    })
    .meta({ id: `Event_${type.replace('.', '_')}` })
}

export const EventSchema = z
  .discriminatedUnion(
    'type',
    EVENT_TYPES.map(eventSchema) as [ReturnType<typeof eventSchema>, ...ReturnType<typeof eventSchema>[]],
  )
  .meta({ id: 'Event', description: 'An immutable fact. Clients must ignore unknown types and fields.' })

/** What `maxEventBytes` makes of a larger one: of its data as much as fits, of any field perhaps nothing. */
export const ShortenedEvent = z
  .object({
    seq: z.number().int().min(1),
    type: z.enum(EVENT_TYPES),
    at: Timestamp,
    attempt: z.number().int(),
    data: z.record(z.string(), z.unknown()),
    truncatedBytes: z.number().int().meta({ description: 'Number of omitted bytes; REST returns them.' }),
  })
  .meta({ id: 'ShortenedEvent', description: 'Only with maxEventBytes: fields of `data` may be missing.' })

export const EventType = z.enum(EVENT_TYPES).meta({ id: 'EventType' })
