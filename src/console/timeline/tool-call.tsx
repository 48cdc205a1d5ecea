import { memo, useState, type ReactNode } from 'react'
import { toHash } from '../app/router.js'
import { formatDuration } from '../app/format.js'
import { Icon, type IconName } from '../ui/icons.js'
import { compareTexts, Diff, type DiffLine } from './diff.js'
import type { Item, ToolItem, ToolState } from './items.js'
import { LongText } from './long-text.js'

const ICONS: Readonly<Record<string, IconName>> = {
  Bash: 'terminal',
  Edit: 'pencil',
  MultiEdit: 'pencil',
  Write: 'pencil',
  NotebookEdit: 'pencil',
  Read: 'file',
  Glob: 'search',
  Grep: 'search',
  WebFetch: 'globe',
  WebSearch: 'globe',
  Agent: 'people',
  Task: 'people',
}
const STATES: Readonly<Record<ToolState, string>> = {
  running: 'running',
  done: '',
  error: 'failed',
  denied: 'denied',
  unfinished: 'never finished',
}

type Input = Readonly<Record<string, unknown>>
const textOf = (input: Input, name: string): string => (typeof input[name] === 'string' ? input[name] : '')

/** What a call is about, in a line. */
function summarize(name: string, input: Input): string {
  for (const field of ['description', 'file_path', 'path', 'pattern', 'url', 'query', 'command', 'skill', 'prompt']) {
    const text = textOf(input, field)
    if (text !== '' && !(field === 'description' && name === 'Bash')) return text.split('\n', 1)[0] ?? ''
  }
  return ''
}

interface Hunk {
  readonly oldStart: number
  readonly newStart: number
  readonly lines: readonly string[]
}

/** The CLI's own patch, with lines around; until it is there, what the call says. */
export function toDiff(name: string, input: Input, details?: unknown): readonly DiffLine[] | undefined {
  const hunks = (details as { readonly structuredPatch?: readonly Hunk[] } | undefined)?.structuredPatch
  if (Array.isArray(hunks) && hunks.length > 0)
    return (hunks as readonly Hunk[]).flatMap(({ oldStart, newStart, lines }) => [
      { kind: 'hunk', text: `@@ line ${oldStart} → ${newStart}` } as const,
      ...lines.map((line): DiffLine => ({
        kind: line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'same',
        text: line.slice(1),
      })),
    ])
  if (name === 'Write' && typeof input['content'] === 'string') return compareTexts('', input['content'])
  if (typeof input['old_string'] === 'string' && typeof input['new_string'] === 'string')
    return compareTexts(input['old_string'], input['new_string'])
  return undefined
}

/** A path in the workspace, which the events name in full or below the root of all. */
function withoutRoot(path: string, root: string): string {
  const start = path.startsWith('/') && root.length > 1 ? path.indexOf(root) : -1
  return start === -1 ? path : path.slice(start + root.length)
}

interface Props {
  readonly item: ToolItem
  readonly version: number
  /** How the steps of a subagent are shown: as every other item. */
  readonly show: (item: Item) => ReactNode
}

export const ToolCall = memo(
  function ToolCall({ item, show }: Props) {
    const { name, input, state, durationMs, children, approval, denial } = item
    const isEdit = ['Edit', 'Write', 'MultiEdit'].includes(name)
    const [isOpen, setOpen] = useState<boolean>()
    const isShown =
      isOpen ?? (isEdit || name === 'Bash' || state === 'error' || state === 'denied' || approval !== undefined)
    return (
      <div className={`tool tool-${approval ? 'asking' : state}`}>
        <button className="tool-head" aria-expanded={isShown} onClick={() => setOpen(!isShown)}>
          <Icon name={ICONS[name] ?? 'tool'} size={16} />
          <strong>{name.replace(/^mcp__(.+?)__/, '$1: ')}</strong>
          <span className="tool-summary">{withoutRoot(summarize(name, input), item.root)}</span>
          <span className="tool-state">
            {approval ? 'waits for you' : STATES[state]} {durationMs !== undefined && formatDuration(durationMs)}
          </span>
          <Icon name="chevron" size={14} />
        </button>
        {isShown && (
          <div className="tool-body">
            <ToolBody item={item} />
            {approval && (
              <p className="note warn">
                A decision is pending. <a href={toHash(['waiting'], { execution: approval.executionId })}>Decide</a>
              </p>
            )}
            {item.decision && (
              <p className="note">
                {item.decision.decision === 'deny' ? 'Denied' : 'Allowed'} by {item.decision.by}
                {item.decision.appliesTo === 'execution' && ', for the rest of this run'}
                {item.decision.message !== undefined && `: “${item.decision.message}”`}
              </p>
            )}
            {denial && !item.decision && (
              <p className="note bad">
                Denied. To allow it: <code>{denial.allowWith}</code>
              </p>
            )}
          </div>
        )}
        {children.length > 0 && <Subagent item={item} show={show} />}
      </div>
    )
  },
  (one, other) => one.item === other.item && one.version === other.version,
)

function ToolBody({ item: { name, input, details, result, state } }: { readonly item: ToolItem }) {
  const diff = toDiff(name, input, details)
  if (diff)
    return (
      <>
        <Diff lines={diff} label={`Change of ${textOf(input, 'file_path')}`} />
        {state === 'error' && <LongText text={result ?? ''} tone="bad" />}
      </>
    )
  if (name === 'Bash') {
    const { stdout, stderr } = (details ?? {}) as { readonly stdout?: unknown; readonly stderr?: unknown }
    const isSplit = typeof stdout === 'string' && typeof stderr === 'string' && stderr !== ''
    return (
      <div className="terminal">
        <pre className="command" tabIndex={0}>
          <span className="prompt-sign" aria-hidden="true">
            ${' '}
          </span>
          {textOf(input, 'command')}
        </pre>
        {isSplit ? (
          <>
            <LongText text={stdout} />
            <LongText text={stderr} tone="bad" />
          </>
        ) : (
          <LongText text={result ?? ''} tone={state === 'error' ? 'bad' : undefined} />
        )}
      </div>
    )
  }
  return (
    <>
      <LongText text={JSON.stringify(input, null, 2)} />
      {result !== undefined && result !== '' && (
        <>
          <p className="path">Result</p>
          <LongText text={result} tone={state === 'error' ? 'bad' : undefined} />
        </>
      )}
    </>
  )
}

const SHOWN_STEPS = 30

/** What a subagent does stands under the call that started it: the newest steps, and the others if wished. */
function Subagent({ item: { children, state }, show }: Omit<Props, 'version'>) {
  const [isOpen, setOpen] = useState<boolean>()
  const [isWhole, setWhole] = useState(false)
  const isShown = isOpen ?? (state === 'running' || children.length <= 12)
  const hidden = isWhole ? 0 : Math.max(0, children.length - SHOWN_STEPS)
  return (
    <div className="subagent">
      <button className="button quiet small" aria-expanded={isShown} onClick={() => setOpen(!isShown)}>
        <Icon name="people" size={15} /> {children.length} {children.length === 1 ? 'step' : 'steps'} of the subagent
      </button>
      {isShown && hidden > 0 && (
        <button className="button small" onClick={() => setWhole(true)}>
          Show the {hidden.toLocaleString('en')} before
        </button>
      )}
      {isShown && children.slice(hidden).map(show)}
    </div>
  )
}
