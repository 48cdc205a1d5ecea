import type { ExecuteRequest, Execution } from 'cc-executor/client'

/** What the form holds: texts as they are typed. */
export interface Draft {
  readonly mode: 'prompt' | 'tasks'
  readonly prompt: string
  readonly tasks: readonly string[]
  readonly model: string
  readonly effort: string
  readonly workspace: string
  readonly permissionMode: string
  readonly ask: boolean
  readonly allowedTools: string
  readonly timeoutSeconds: string
  readonly maxBudgetUsd: string
  readonly maxTurns: string
  readonly priority: string
  readonly sandbox: string
  readonly json: boolean
  readonly labels: string
  readonly stopOnFailure: boolean
  readonly appendSystemPrompt: string
  /** Fields that have no place of their own here, as JSON. */
  readonly others: string
  readonly attachments: readonly Attached[]
  readonly session: ExecuteRequest['session']
}

export interface Attached {
  readonly name: string
  readonly mediaType: string
  readonly data: string
  readonly size: number
}

export const EMPTY: Draft = {
  mode: 'prompt',
  prompt: '',
  tasks: ['', ''],
  model: '',
  effort: '',
  workspace: '',
  permissionMode: '',
  ask: true,
  allowedTools: '',
  timeoutSeconds: '',
  maxBudgetUsd: '',
  maxTurns: '',
  priority: '',
  sandbox: '',
  json: false,
  labels: '',
  stopOnFailure: true,
  appendSystemPrompt: '',
  others: '',
  attachments: [],
  session: undefined,
}

const text = (value: string): string | undefined => (value.trim() === '' ? undefined : value.trim())
const number = (value: string): number | undefined => (value.trim() === '' ? undefined : Number(value))
const words = (value: string): string[] | undefined => {
  // A rule may hold commas and spaces in its parentheses.
  const found = value.match(/[^\s,(]+(?:\([^)]*\))?/g)
  return found ? [...found] : undefined
}
const labelsOf = (value: string): Record<string, string> | undefined => {
  const pairs = value.split(/[\s,]+/).flatMap((part) => {
    const [, name, label] = /^([^=]+)=(.*)$/.exec(part) ?? []
    return name === undefined || label === undefined ? [] : [[name, label] as const]
  })
  return pairs.length > 0 ? Object.fromEntries(pairs) : undefined
}

/** What is left out has the service's default. @throws SyntaxError where the other fields are not JSON */
export function toRequest(draft: Draft): ExecuteRequest {
  const isList = draft.mode === 'tasks'
  const others: unknown = draft.others.trim() === '' ? {} : JSON.parse(draft.others)
  const request = {
    prompt: isList ? undefined : draft.prompt,
    tasks: isList ? draft.tasks.filter((task) => /\S/.test(task)) : undefined,
    onTaskFailure: isList && !draft.stopOnFailure ? 'continue' : undefined,
    session: isList ? undefined : draft.session,
    model: text(draft.model),
    effort: text(draft.effort),
    workspace: text(draft.workspace),
    permissionMode: text(draft.permissionMode),
    onPermissionNeeded: draft.ask && draft.permissionMode !== 'dontAsk' ? 'ask' : undefined,
    allowedTools: words(draft.allowedTools),
    timeoutSeconds: draft.timeoutSeconds.trim() === 'auto' ? 'auto' : number(draft.timeoutSeconds),
    maxBudgetUsd: number(draft.maxBudgetUsd),
    maxTurns: number(draft.maxTurns),
    priority: text(draft.priority),
    sandbox: text(draft.sandbox),
    json: draft.json || undefined,
    metadata: labelsOf(draft.labels),
    appendSystemPrompt: text(draft.appendSystemPrompt),
    attachments:
      draft.attachments.length > 0 ? draft.attachments.map(({ mediaType, data }) => ({ mediaType, data })) : undefined,
    ...(others as object),
  }
  // Safe: the service looks at each field, and names what is wrong.
  return JSON.parse(JSON.stringify(request)) as ExecuteRequest
}

/** What was asked for before, to be changed. Attachments are not kept by the service, only their digests. */
export function toDraft({ request }: Execution): Draft {
  const {
    prompt,
    tasks,
    model,
    effort,
    workspace,
    permissionMode,
    onPermissionNeeded,
    allowedTools,
    timeoutSeconds,
    maxBudgetUsd,
    maxTurns,
    priority,
    sandbox,
    json,
    metadata,
    onTaskFailure,
    appendSystemPrompt,
    session,
    attachments: _attachments,
    ...others
  } = request
  const plain = tasks?.every((task) => typeof task === 'string')
  const rest = { ...others, tasks: plain === false ? tasks : undefined }
  return {
    ...EMPTY,
    mode: tasks ? 'tasks' : 'prompt',
    prompt: prompt ?? '',
    tasks: tasks?.map((task) => (typeof task === 'string' ? task : (task.prompt ?? ''))) ?? EMPTY.tasks,
    model: model ?? '',
    effort: effort ?? '',
    workspace: workspace ?? '',
    permissionMode: permissionMode ?? '',
    ask: onPermissionNeeded === 'ask',
    allowedTools: allowedTools?.join(', ') ?? '',
    timeoutSeconds: String(timeoutSeconds ?? ''),
    maxBudgetUsd: String(maxBudgetUsd ?? ''),
    maxTurns: String(maxTurns ?? ''),
    priority: priority ?? '',
    sandbox: sandbox ?? '',
    json: json ?? false,
    labels: Object.entries(metadata ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
    stopOnFailure: onTaskFailure !== 'continue',
    appendSystemPrompt: appendSystemPrompt ?? '',
    others: Object.values(rest).some((value) => value !== undefined) ? JSON.stringify(rest, null, 2) : '',
    session,
  }
}

/** One line for a shell that can be pasted as it is; the token stays a variable. */
export function toCurl(url: string, request: ExecuteRequest): string {
  const body = JSON.stringify(request, null, 2).replaceAll("'", String.raw`'\''`)
  return [
    `curl ${url}/execute \\`,
    '  -H "Authorization: Bearer $TOKEN" \\',
    "  -H 'Content-Type: application/json' \\",
    `  -d '${body}'`,
  ].join('\n')
}
