import { useState } from 'react'
import type { Approval, ApprovalDecision } from 'cc-executor/client'
import { formatTime } from '../app/format.js'
import { toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { Diff } from '../timeline/diff.js'
import { LongText } from '../timeline/long-text.js'
import { MarkdownText } from '../timeline/markdown.js'
import { toDiff } from '../timeline/tool-call.js'
import { Icon } from '../ui/icons.js'
import { Fault } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'
import { Questions } from './questions.js'

interface Props {
  readonly approval: Approval
  readonly onClosed: (approval: Approval) => void
}

const TITLES = { tool: 'wants to use', question: 'asks', plan: 'has a plan' } as const

export function ApprovalCard({ approval, onClosed }: Props) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [message, setMessage] = useState('')
  const { id, kind, tool, executionId, requestedAt, expiresAt, suggestions, reason, heldBecause } = approval
  const decide = (decision: ApprovalDecision): void =>
    void run(() => client.decide(id, decision)).then((done) => done && onClosed(approval))
  const deny = (): void => decide({ decision: 'deny', message: message.trim() || undefined })

  return (
    <article
      className="card approval"
      tabIndex={-1}
      aria-label={`Claude ${TITLES[kind]} ${kind === 'tool' ? tool : ''}`}
    >
      <header className="approval-head">
        <Icon name={kind === 'question' ? 'bell' : 'lock'} />
        <h2>
          Claude {TITLES[kind]} {kind === 'tool' && <code>{tool}</code>}
        </h2>
        <span className="spacer" />
        <small className="muted">
          <a href={toHash(['executions', executionId])}>{executionId.slice(0, 8)}</a> · since {formatTime(requestedAt)},
          until {formatTime(expiresAt)}
        </small>
      </header>
      {reason !== undefined && <p className="muted">{reason}</p>}
      {kind === 'question' ? (
        <Questions approval={approval} isBusy={isBusy} decide={decide} />
      ) : (
        <>
          <Asked approval={approval} />
          {approval.inputTruncated && <p className="note warn">The input is longer than what is shown here.</p>}
          <label className="field">
            <span>Message to Claude, with a denial</span>
            <input className="input" value={message} onChange={({ target }) => setMessage(target.value)} />
          </label>
          <div className="actions">
            <button
              data-key="allow"
              className="button primary"
              disabled={isBusy}
              onClick={() => decide({ decision: 'allow' })}
            >
              {kind === 'plan' ? 'Accept the plan' : 'Allow once'}
            </button>
            {suggestions.length > 0 && (
              <button
                className="button"
                disabled={isBusy}
                title={suggestions.join('\n')}
                onClick={() => decide({ decision: 'allow', appliesTo: 'execution' })}
              >
                Allow for this run
              </button>
            )}
            <button data-key="deny" className="button danger" disabled={isBusy} onClick={deny}>
              Deny
            </button>
          </div>
          {suggestions.length > 0 && (
            <p className="hint">
              “For this run” also allows{' '}
              {suggestions.map((rule) => (
                <code key={rule}>{rule} </code>
              ))}
            </p>
          )}
        </>
      )}
      {heldBecause !== undefined && <p className="hint">A worker is held: {heldBecause}</p>}
      <Fault error={error} />
    </article>
  )
}

/** What would be done: an edit as its diff, a command as it would run, a plan as text. */
function Asked({ approval: { kind, tool, input } }: { readonly approval: Approval }) {
  const diff = toDiff(tool, input)
  if (kind === 'plan' && typeof input['plan'] === 'string')
    return (
      <div className="markdown plan">
        <MarkdownText text={input['plan']} />
      </div>
    )
  if (diff)
    return (
      <>
        <p className="path">{typeof input['file_path'] === 'string' ? input['file_path'] : ''}</p>
        <Diff lines={diff} label="What would be changed" />
      </>
    )
  if (tool === 'Bash' && typeof input['command'] === 'string')
    return (
      <>
        {typeof input['description'] === 'string' && <p>{input['description']}</p>}
        <pre className="command" tabIndex={0}>
          <span className="prompt-sign" aria-hidden="true">
            ${' '}
          </span>
          {input['command']}
        </pre>
      </>
    )
  return <LongText text={JSON.stringify(input, null, 2)} />
}
