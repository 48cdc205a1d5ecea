import { useState, type FormEvent } from 'react'
import type { Execution } from 'cc-executor/client'
import { go, toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { Icon } from '../ui/icons.js'
import { Fault } from '../ui/states.js'
import { hasEnded } from '../ui/status.js'
import { useAction } from '../ui/use-action.js'

/** A message to the run while it works; afterwards the next turn of its conversation, as an execution. */
export function Composer({ execution: { id, status, kind, sessionId, request } }: { readonly execution: Execution }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [text, setText] = useState('')
  const isOver = hasEnded(status)
  if (kind === 'task_list' || status === 'queued' || (isOver && sessionId === undefined)) return null

  async function send(): Promise<void> {
    if (!isOver) await client.send(id, { text }, { idempotencyKey: crypto.randomUUID() })
    else {
      const { model, permissionMode, allowedTools, onPermissionNeeded } = request
      const next = await client.execute({
        prompt: text,
        session: { resume: id },
        model,
        permissionMode,
        allowedTools,
        onPermissionNeeded,
      })
      go(toHash(['executions', next.id]))
    }
    setText('')
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (/\S/.test(text)) void run(send)
  }
  const label = isOver ? 'Continue this conversation' : 'Message to Claude'
  return (
    <form className="composer" onSubmit={submit}>
      <Fault error={error} />
      <div className="composer-row">
        <textarea
          aria-label={label}
          placeholder={isOver ? 'Continue this conversation…' : 'Tell Claude something while it works…'}
          rows={Math.min(6, text.split('\n').length)}
          value={text}
          onChange={({ target }) => setText(target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) submit(event)
          }}
        />
        <button className="button primary" disabled={isBusy || !/\S/.test(text)}>
          <Icon name="send" size={15} /> {isOver ? 'Follow up' : 'Send'}
        </button>
      </div>
    </form>
  )
}
