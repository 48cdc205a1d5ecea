import { memo, useState, type ReactNode } from 'react'
import { formatExactTime } from '../app/format.js'
import { toHash } from '../app/router.js'
import { Answer } from './answer.js'
import { Icon, type IconName } from '../ui/icons.js'
import type { ApprovalItem, EndItem, Item, MessageItem, NoticeItem, Tone } from './items.js'
import { LongText } from './long-text.js'
import { ToolCall } from './tool-call.js'
import { STATUS_NAMES } from '../ui/status.js'

const TONE_ICONS: Readonly<Record<Tone, IconName>> = {
  quiet: 'info',
  info: 'info',
  good: 'check',
  warn: 'clock',
  bad: 'cross',
}

interface Props {
  readonly item: Item
  readonly version: number
}

const showItem = (item: Item): ReactNode => <ItemView key={item.key} item={item} version={item.version} />

/** Drawn again only when its item has changed. */
export const ItemView = memo(
  function ItemView({ item, version }: Props) {
    switch (item.kind) {
      case 'text':
        return <Answer item={item} />
      case 'thinking':
        return <Thinking text={item.text} />
      case 'tool':
        return <ToolCall item={item} version={version} show={showItem} />
      case 'notice':
        return <Notice item={item} />
      case 'output':
        return (
          <div className="plain-output">
            <p className="path">{item.stream}</p>
            <LongText text={item.text} tone={item.stream === 'stderr' ? 'bad' : undefined} />
          </div>
        )
      case 'message':
        return <Message item={item} />
      case 'approval':
        return <Asked item={item} />
      case 'end':
        return <End item={item} />
    }
  },
  (one, other) => one.item === other.item && one.version === other.version,
)

function Thinking({ text }: { readonly text: string }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <div className="thinking">
      <button className="button quiet small" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name="spark" size={15} /> Thinking
      </button>
      {isOpen && <p className="pre-wrap">{text}</p>}
    </div>
  )
}

const Notice = ({ item: { tone, title, detail, executionId, at } }: { readonly item: NoticeItem }) => (
  <div className={`notice ${tone}`}>
    <Icon name={TONE_ICONS[tone]} size={15} />
    <span>
      {executionId === undefined ? title : <a href={toHash(['executions', executionId])}>{title}</a>}
      {detail !== undefined && detail !== '' && <small className="pre-wrap">{detail}</small>}
    </span>
    <time dateTime={at}>{formatExactTime(at)}</time>
  </div>
)

const Message = ({ item: { by, text, state } }: { readonly item: MessageItem }) => (
  <div className="bubble">
    <p className="pre-wrap">{text}</p>
    <small>
      {by} · {state === 'accepted' ? 'not read yet' : state}
    </small>
  </div>
)

function Asked({ item: { approval, state } }: { readonly item: ApprovalItem }) {
  const title =
    approval.kind === 'question' ? 'Claude asks' : approval.kind === 'plan' ? 'A plan to decide on' : approval.tool
  const questions = approval.questions?.map(({ question }) => question) ?? []
  return (
    <div className={`notice ${state === 'pending' ? 'warn' : 'info'}`}>
      <Icon name="bell" size={15} />
      <span>
        {title}
        <small className="pre-wrap">{questions.join('\n')}</small>
      </span>
      {state === 'pending' ? (
        <a className="button small" href={toHash(['waiting'], { execution: approval.executionId })}>
          Decide
        </a>
      ) : (
        <small>{state}</small>
      )}
    </div>
  )
}

function End({ item: { outcome } }: { readonly item: EndItem }) {
  const { status, code, message, result, isPartial } = outcome
  return (
    <div className={`end end-${status}`}>
      <p className="end-title">
        <Icon name={status === 'succeeded' ? 'check' : 'cross'} size={18} />
        <strong>{STATUS_NAMES[status]}</strong>
        {code !== undefined && <code>{code}</code>}
      </p>
      {message !== undefined && <p>{message}</p>}
      {isPartial && <p className="muted">The answer is not complete.</p>}
      {typeof result === 'object' && <LongText text={JSON.stringify(result, null, 2)} />}
    </div>
  )
}
