import type { Approval, Event, Execution } from 'cc-executor/client'

type Outcome = NonNullable<Execution['outcome']>
export type DataOf<Type extends Event['type']> = Event<Type>['data']

interface Base {
  readonly key: string
  /** Grows with every change: what is shown of an item is of one version. */
  version: number
  readonly at: string
}

export interface TextItem extends Base {
  readonly kind: 'text'
  text: string
  /** It is still being written, or its whole message has not come. */
  isOpen: boolean
  /** How often it began anew. */
  resets: number
}

export interface ThinkingItem extends Base {
  readonly kind: 'thinking'
  readonly text: string
}

export type ToolState = 'running' | 'done' | 'error' | 'denied' | 'unfinished'

export interface ToolItem extends Base {
  readonly kind: 'tool'
  readonly toolUseId: string
  /** The folder of the run: paths in it are shown without it. */
  readonly root: string
  name: string
  input: Readonly<Record<string, unknown>>
  state: ToolState
  durationMs?: number
  result?: string
  /** What the CLI says of it beside the text for the model: a patch, the streams of a command. */
  details?: unknown
  denial?: DataOf<'tool.denied'>
  approval?: Approval
  decision?: DataOf<'approval.decided'>
  /** Of a subagent. */
  readonly children: Item[]
}

export type Tone = 'quiet' | 'good' | 'warn' | 'bad' | 'info'

export interface NoticeItem extends Base {
  readonly kind: 'notice'
  readonly tone: Tone
  readonly title: string
  readonly detail?: string | undefined
  readonly executionId?: string | undefined
}

export interface OutputItem extends Base {
  readonly kind: 'output'
  readonly stream: string
  text: string
}

export interface MessageItem extends Base {
  readonly kind: 'message'
  readonly by: string
  readonly text: string
  state: string
}

/** Questions and plans; an approval of a call stands at its call, too. */
export interface ApprovalItem extends Base {
  readonly kind: 'approval'
  readonly approval: Approval
  state: string
}

export interface EndItem extends Base {
  readonly kind: 'end'
  readonly outcome: Outcome
}

export type Item = TextItem | ThinkingItem | ToolItem | NoticeItem | OutputItem | MessageItem | ApprovalItem | EndItem
