import { useState, type FormEvent } from 'react'
import type { Webhook } from 'cc-executor/client'
import { useClient } from '../app/session.js'
import { CopyButton } from '../ui/copy-button.js'
import { Dialog } from '../ui/dialog.js'
import { Fault } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'

interface Props {
  /** Absent: a new one. */
  readonly webhook?: Webhook | undefined
  readonly onClose: () => void
}

export function WebhookForm({ webhook, onClose }: Props) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [url, setUrl] = useState(webhook?.url ?? '')
  const [events, setEvents] = useState(webhook?.events.join(', ') ?? '')
  const [description, setDescription] = useState(webhook?.description ?? '')
  const [allTokens, setAllTokens] = useState(webhook?.allTokens ?? false)
  const [secret, setSecret] = useState<string>()

  async function save(): Promise<void> {
    const patterns = events.split(/[\s,]+/).filter(Boolean)
    const text = description.trim()
    if (webhook) {
      await client.changeWebhook(webhook.id, {
        url: url.trim(),
        events: patterns.length > 0 ? patterns : null,
        description: text === '' ? null : text,
        // Said only where it is to be another: it needs the right of an admin.
        allTokens: allTokens === webhook.allTokens ? undefined : allTokens,
      })
      onClose()
    } else {
      const made = await client.createWebhook({
        url: url.trim(),
        events: patterns.length > 0 ? patterns : undefined,
        description: text === '' ? undefined : text,
        allTokens: allTokens || undefined,
      })
      setSecret(made.secret)
    }
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    void run(save)
  }
  if (secret !== undefined) return <Secret secret={secret} onClose={onClose} />
  return (
    <Dialog title={webhook ? 'Edit the webhook' : 'New webhook'} onClose={onClose}>
      <form onSubmit={submit}>
        <label className="field">
          <span>URL</span>
          <input
            className="input"
            required
            placeholder="https://example.com/hooks/claude"
            value={url}
            onChange={({ target }) => setUrl(target.value)}
          />
        </label>
        <label className="field">
          <span>Events</span>
          <input
            className="input"
            placeholder="all"
            value={events}
            onChange={({ target }) => setEvents(target.value)}
          />
          <small className="hint">
            For example execution.finished, approval.requested or execution.*; separated by commas. Empty: all.
          </small>
        </label>
        <label className="field">
          <span>Description</span>
          <input className="input" value={description} onChange={({ target }) => setDescription(target.value)} />
        </label>
        <label className="check">
          <input type="checkbox" checked={allTokens} onChange={({ target }) => setAllTokens(target.checked)} />
          Events of the executions of every token (needs the scope admin)
        </label>
        <Fault error={error} />
        <button className="button primary" disabled={isBusy || url.trim() === ''}>
          {webhook ? 'Save' : 'Make the webhook'}
        </button>
      </form>
    </Dialog>
  )
}

/** What signs the deliveries, the one time that it is seen. */
export const Secret = ({ secret, onClose }: { readonly secret: string; readonly onClose: () => void }) => (
  <Dialog title="The secret of the webhook" onClose={onClose}>
    <p>It signs each delivery. Copy it now: it is not shown again.</p>
    <pre className="code wrap" tabIndex={0}>
      {secret}
    </pre>
    <CopyButton text={secret} />
  </Dialog>
)
