import { createSharedStop } from '../platform/abort-signals.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { Admission, AdmissionList, AdmissionRequest } from '../protocol/admission.js'
import type { EstimateQuery, TimeoutEstimate } from '../protocol/estimate.js'
import type { Event } from '../protocol/events.js'
import type { ExecuteRequest } from '../protocol/execute-request.js'
import type { Execution } from '../protocol/execution.js'
import type { WorkspaceFiles } from '../protocol/files.js'
import type { ExecutionFilters, ExecutionPage } from '../protocol/listing.js'
import type { Settings } from '../protocol/settings.js'
import type { AuthStatus, Health, QueueState, Readiness } from '../protocol/service-state.js'
import type { BudgetRequest, UsageGroup, UsageReport } from '../protocol/usage.js'
import { ClientError, SERVICE_UNAVAILABLE, toClosed } from './client-error.js'
import { openEventStream } from './event-stream.js'
import { followExecution, type EventSource, type FollowOptions } from './follow-execution.js'
import { createRest, type RestCall } from './rest.js'
import { createSharedSocket } from './shared-socket.js'
import { createResourceCalls, type ResourceCalls } from './resource-calls.js'
import type { PageQuery } from './token-calls.js'

// What a program that uses the package names beside openClient (package.json, exports["./client"]).
export { ClientError } from './client-error.js'
export type { FollowOptions } from './follow-execution.js'
export type { Admission, AdmissionRequest } from '../protocol/admission.js'
export type { Approval, ApprovalDecision, ApprovalFilters, ApprovalPage } from '../protocol/approvals.js'
export type { Event, EventType } from '../protocol/events.js'
export type { ExecuteRequest } from '../protocol/execute-request.js'
export type { Execution, Outcome } from '../protocol/execution.js'
export type { ExecutionFilters, ExecutionPage } from '../protocol/listing.js'
export type { Message, MessageRequest } from '../protocol/messages.js'
export type { Schedule, ScheduleChange, SchedulePage, ScheduleRequest } from '../protocol/schedules.js'
export type { BudgetRequest } from '../protocol/usage.js'
export type { NewToken, Ticket, Token, TokenChange, TokenPage, TokenRequest } from '../protocol/tokens.js'
export type { Delivery, NewWebhook, Webhook, WebhookPayload, WebhookRequest } from '../protocol/webhooks.js'

const DEFAULT_RECONNECT_SECONDS = 300

export interface ClientOptions {
  /** http:// or https://, with a path before the API's own where a proxy adds one. */
  readonly url: string
  /** Absent: the service runs open. */
  readonly token?: string | undefined
  /** How long `follow` tries to come back, since the last event; default 300. */
  readonly patienceSeconds?: number
}

/** Days as YYYY-MM-DD in UTC. */
export interface UsageQuery {
  readonly from?: string
  readonly to?: string
  readonly groupBy?: readonly UsageGroup[]
  /** The id of a token, or `*`: with the admin scope. */
  readonly token?: string
}

interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ExecuteOptions extends CallOptions {
  /** Makes a retry safe: the same key and request give the same execution. */
  readonly idempotencyKey?: string
  /** `Prefer: wait=N`: seconds, at most 60, after which the execution is given back as it then is. */
  readonly wait?: number
}

export interface ControlOptions extends CallOptions {
  readonly reason?: string
}

export interface ResultOptions extends CallOptions {
  /** Seconds, at most 60, to wait for the end. */
  readonly wait?: number
}

/** Every method throws ClientError and nothing else, an abort by the caller's own signal excepted. */
export interface Client extends ResourceCalls {
  readonly url: string
  execute(request: ExecuteRequest, options?: ExecuteOptions): Promise<Execution>
  get(executionId: string, options?: CallOptions): Promise<Execution>
  list(filters?: ExecutionFilters, options?: CallOptions): Promise<ExecutionPage>
  /** The bare answer. NOT_FINISHED while it runs; the outcome's code, with `outcome`, where it did not succeed. */
  result(executionId: string, options?: ResultOptions): Promise<string>
  /** The receipt of a finished execution, to the byte, or as Markdown. NOT_FINISHED while it runs. */
  receipt(executionId: string, options?: CallOptions & { readonly markdown?: boolean }): Promise<string>
  /** What is in the workspace of a finished execution and what its run changed. */
  files(executionId: string, options?: CallOptions): Promise<WorkspaceFiles>
  /** One file that the run created or modified, to the byte. FILE_NOT_KEPT where the service has it not, and why. */
  file(executionId: string, path: string, options?: CallOptions): Promise<Uint8Array>
  /** What the run did, to one file or to all, as a patch for `git apply`. */
  patch(executionId: string, path?: string, options?: CallOptions): Promise<string>
  /** The patch of one file, to the byte: a text need not be UTF-8. */
  patchBytes(executionId: string, path: string, options?: CallOptions): Promise<Uint8Array>
  /** Lets runs of this token work in a folder of the service's machine; for its own user, who proves that he is. */
  admitFolder(request: AdmissionRequest, options?: CallOptions): Promise<Admission>
  admissions(query?: PageQuery, options?: CallOptions): Promise<AdmissionList>
  withdrawAdmission(id: string, options?: CallOptions): Promise<void>
  cancel(executionId: string, options?: ControlOptions): Promise<Execution>
  pause(executionId: string, options?: ControlOptions): Promise<Execution>
  resume(executionId: string, options?: ControlOptions): Promise<Execution>
  /** Sets what it may spend; one that is parked for its budget continues. */
  setBudget(executionId: string, budget: BudgetRequest, options?: CallOptions): Promise<Execution>
  delete(executionId: string, options?: CallOptions): Promise<void>
  /** How long such a run takes, by the history of this token's own. */
  estimate(query: EstimateQuery, options?: CallOptions): Promise<TimeoutEstimate>
  /** What was spent, by day, model and token. */
  usage(query?: UsageQuery, options?: CallOptions): Promise<UsageReport>
  queue(options?: CallOptions): Promise<QueueState>
  /** The settings in force of the API that answers; a token with the admin scope reads them. */
  config(options?: CallOptions): Promise<Settings>
  health(options?: CallOptions): Promise<Health>
  /** Also where a part has failed: its body says which. */
  ready(options?: CallOptions): Promise<Readiness>
  auth(options?: CallOptions): Promise<AuthStatus>
  /** The events after a cursor, each once and in order, to the terminal one; reconnects by itself. */
  follow(executionId: string, options?: FollowOptions): AsyncGenerator<Event, void, undefined>
  /** Ends what is under way with CLIENT_CLOSED. */
  close(): void
}

/** What would fail later, with the token in fetch's own words. */
function requireUsable(url: string, token: string | undefined): void {
  const refuseClient = (code: string, detail: string): never => {
    throw new ClientError({ code, status: 0, retryable: false, detail })
  }
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    refuseClient('INVALID_REQUEST', `The address ${JSON.stringify(url)} is not an http:// or https:// URL.`)
  const { username, password, search, hash } = new URL(url)
  if (username !== '' || password !== '')
    refuseClient('INVALID_REQUEST', 'The address must not hold a user or a password; the service takes a token.')
  if (search !== '' || hash !== '')
    refuseClient('INVALID_REQUEST', `The address ${JSON.stringify(url)} must end with its path.`)
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    refuseClient('UNAUTHENTICATED', 'The token has characters that no token has.')
}

/** Each part by itself: a slash stays one. */
const toFilePath = (path: string): string => `/files/${path.split('/').map(encodeURIComponent).join('/')}`

/** Connects to nothing yet: the first call does. @throws ClientError where the address or the token cannot be one */
export function openClient({ url: given, token, patienceSeconds = DEFAULT_RECONNECT_SECONDS }: ClientOptions): Client {
  const url = given.replace(/\/+$/, '')
  requireUsable(url, token)
  const closing = createSharedStop()
  let reached = false
  const onReached = (): void => void (reached = true)
  const rest = createRest({ url, token, closing: closing.signal, onReached })
  const socket = createSharedSocket({ url, token, onReached })
  const plain: EventSource = { subscribe: (params) => openEventStream({ url, token, onReached }, params) }
  let source: EventSource = socket

  const at = (executionId: string, tail = ''): string => `/executions/${encodeURIComponent(executionId)}${tail}`
  // Safe: the service's own answers, in the shapes that the protocol publishes; fields that are new pass through.
  const ask = <Answer>(call: RestCall): Promise<Answer> => rest.json(call) as Promise<Answer>
  const requestControl =
    (name: 'cancel' | 'pause' | 'resume') =>
    (executionId: string, { reason, signal }: ControlOptions = {}): Promise<Execution> =>
      ask({
        method: 'POST',
        path: at(executionId, `/${name}`),
        signal,
        body: reason === undefined ? undefined : { reason },
      })

  return {
    url,
    ...createResourceCalls(rest),
    execute: (request, { idempotencyKey, wait, signal } = {}) =>
      ask({
        method: 'POST',
        path: '/execute',
        body: request,
        signal,
        waitSeconds: wait,
        headers: definedFields({
          'idempotency-key': idempotencyKey,
          prefer: wait === undefined ? undefined : `wait=${Math.ceil(wait)}`,
        }),
      }),
    get: (executionId, { signal } = {}) => ask({ path: at(executionId), signal }),
    list({ status, metadata = {}, ...filters } = {}, { signal } = {}) {
      const labels = Object.fromEntries(Object.entries(metadata).map(([label, value]) => [`metadata.${label}`, value]))
      return ask({ path: '/executions', query: { ...filters, ...labels, status: status?.join(',') }, signal })
    },
    result: (executionId, { wait, signal } = {}) =>
      rest.text({ path: at(executionId, '/result'), query: { waitSeconds: wait }, waitSeconds: wait, signal }),
    receipt: (executionId, { markdown = false, signal } = {}) =>
      rest.text({
        path: at(executionId, '/receipt'),
        signal,
        headers: { accept: markdown ? 'text/markdown' : 'application/json' },
      }),
    files: (executionId, { signal } = {}) => ask({ path: at(executionId, '/files'), signal }),
    file: (executionId, path, { signal } = {}) =>
      rest.bytes({ path: at(executionId, toFilePath(path)), headers: { accept: '*/*' }, signal }),
    patch: (executionId, path, { signal } = {}) =>
      rest.text({
        path: at(executionId, path === undefined ? '/files' : toFilePath(path)),
        query: { diff: 'true' },
        headers: { accept: 'text/x-diff' },
        signal,
      }),
    patchBytes: (executionId, path, { signal } = {}) =>
      rest.bytes({
        path: at(executionId, toFilePath(path)),
        query: { diff: 'true' },
        headers: { accept: 'text/x-diff' },
        signal,
      }),
    admitFolder: (body, { signal } = {}) => ask({ method: 'POST', path: '/workspaces/admissions', body, signal }),
    admissions: (query = {}, { signal } = {}) => ask({ path: '/workspaces/admissions', query: { ...query }, signal }),
    async withdrawAdmission(id, { signal } = {}) {
      await rest.text({ method: 'DELETE', path: `/workspaces/admissions/${encodeURIComponent(id)}`, signal })
    },
    cancel: requestControl('cancel'),
    pause: requestControl('pause'),
    resume: requestControl('resume'),
    setBudget: (executionId, body, { signal } = {}) =>
      ask({ method: 'PUT', path: at(executionId, '/budget'), body, signal }),
    async delete(executionId, { signal } = {}) {
      await rest.text({ method: 'DELETE', path: at(executionId), signal })
    },
    estimate: (query, { signal } = {}) => ask({ path: '/estimates', query: { ...query }, signal }),
    usage: ({ groupBy, ...query } = {}, { signal } = {}) =>
      ask({ path: '/usage', query: { ...query, groupBy: groupBy?.join(',') }, signal }),
    queue: ({ signal } = {}) => ask({ path: '/queue', signal }),
    config: ({ signal } = {}) => ask({ path: '/config', signal }),
    health: ({ signal } = {}) => ask({ path: '/health', signal }),
    // Its body says what is wrong.
    ready: ({ signal } = {}) => ask({ path: '/health/ready', signal, accept: [SERVICE_UNAVAILABLE] }),
    auth: ({ signal } = {}) => ask({ path: '/auth/status', signal }),
    follow: (executionId, options = {}) =>
      followExecution(
        {
          source: () => source,
          fallBack: () => void (source = plain),
          closing: closing.signal,
          hasReached: () => reached,
          reconnectMs: patienceSeconds * 1_000,
        },
        executionId,
        options,
      ),
    close() {
      closing.abort()
      socket.close(toClosed())
    },
  }
}
