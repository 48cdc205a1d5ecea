import { useState } from 'react'
import type { Webhook } from 'cc-executor/client'
import { formatTime } from '../app/format.js'
import { toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Secret, WebhookForm } from './webhook-form.js'
import { Icon } from '../ui/icons.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'
import { Toggle } from '../ui/toggle.js'
import { useAction } from '../ui/use-action.js'

const LIVE_INTERVAL_MS = 10_000

export function WebhooksPage() {
  const client = useClient()
  const { value, error, refresh } = usePoll(
    'webhooks',
    (signal) => client.webhooks({ limit: 200 }, { signal }),
    LIVE_INTERVAL_MS,
  )
  const [isMaking, setMaking] = useState(false)
  return (
    <div className="page">
      <PageHead title="Webhooks">
        <button className="button primary" onClick={() => setMaking(true)}>
          <Icon name="plus" size={16} /> New webhook
        </button>
      </PageHead>
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value?.webhooks.length === 0 && (
        <Empty icon="send" title="No webhooks">
          <p>
            A webhook posts what happens to a URL, signed by the Standard Webhooks scheme. Make one here, or from a
            shell:
          </p>
          <pre className="code">cc-executor webhook add https://example.com/hooks/claude</pre>
        </Empty>
      )}
      {value?.webhooks.map((webhook) => (
        <WebhookCard key={webhook.id} webhook={webhook} refresh={refresh} />
      ))}
      {isMaking && (
        <WebhookForm
          onClose={() => {
            setMaking(false)
            refresh()
          }}
        />
      )}
    </div>
  )
}

function WebhookCard({ webhook, refresh }: { readonly webhook: Webhook; readonly refresh: () => void }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [isOpen, setOpen] = useState(false)
  const [isEditing, setEditing] = useState(false)
  const [secret, setSecret] = useState<string>()
  const { id, url, events, enabled, disabledReason, failingSince, lastDeliveredAt, pendingDeliveries, description } =
    webhook
  return (
    <article className="card" aria-label={url}>
      <div className="card-head">
        <h2 className="url">{url}</h2>
        <span className="spacer" />
        <Toggle
          label="Enabled"
          isOn={enabled}
          isDisabled={isBusy}
          onChange={(isOn) => void run(() => client.changeWebhook(id, { enabled: isOn })).then(refresh)}
        />
      </div>
      {description !== undefined && <p>{description}</p>}
      <p className="muted">
        {events.join(', ')} · {pendingDeliveries} pending
        {lastDeliveredAt !== undefined && ` · last delivered ${formatTime(lastDeliveredAt)}`}
        {failingSince !== undefined && ` · failing since ${formatTime(failingSince)}`}
        {disabledReason !== undefined && ` · disabled: ${disabledReason}`}
      </p>
      <Fault error={error} />
      <div className="actions">
        <button className="button small" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          Deliveries
        </button>
        <button
          className="button small"
          disabled={isBusy}
          onClick={() => void run(() => client.testWebhook(id)).then(() => setOpen(true))}
        >
          Send a test
        </button>
        <button className="button small" onClick={() => setEditing(true)}>
          Edit
        </button>
        <button
          className="button small"
          disabled={isBusy}
          onClick={() =>
            confirm('Make a new secret? The previous one also signs for one more day.') &&
            void run(async () => setSecret((await client.rotateWebhookSecret(id)).secret))
          }
        >
          New secret
        </button>
        <button
          className="button small danger"
          disabled={isBusy}
          onClick={() =>
            confirm(`Delete the webhook to ${url} with its deliveries?`) &&
            void run(() => client.deleteWebhook(id)).then(refresh)
          }
        >
          Delete
        </button>
      </div>
      {isOpen && <Deliveries webhookId={id} />}
      {isEditing && (
        <WebhookForm
          webhook={webhook}
          onClose={() => {
            setEditing(false)
            refresh()
          }}
        />
      )}
      {secret !== undefined && <Secret secret={secret} onClose={() => setSecret(undefined)} />}
    </article>
  )
}

function Deliveries({ webhookId }: { readonly webhookId: string }) {
  const client = useClient()
  const { run, isBusy, error: failure } = useAction()
  const { value, error, refresh } = usePoll(
    `deliveries ${webhookId}`,
    (signal) => client.deliveries(webhookId, { limit: 50 }, { signal }),
    3_000,
  )
  if (!value) return error ? <Fault error={error} /> : <Loading />
  if (value.deliveries.length === 0) return <p className="muted">Nothing was delivered yet.</p>
  return (
    <div className="table-scroll" tabIndex={0}>
      <Fault error={failure ?? error} />
      <table>
        <thead>
          <tr>
            <th>Time</th>
            <th>Type</th>
            <th>Status</th>
            <th>Attempts</th>
            <th>Execution</th>
            <th>
              <span className="sr-only">Action</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {value.deliveries.map(({ id, createdAt, type, status, attemptCount, attempts, executionId }) => (
            <tr key={id}>
              <td>{formatTime(createdAt)}</td>
              <td>{type}</td>
              <td title={attempts.at(-1)?.detail}>
                {status} {attempts.at(-1)?.error ?? ''}
              </td>
              <td>{attemptCount}</td>
              <td>
                {executionId !== undefined && (
                  <a href={toHash(['executions', executionId])}>{executionId.slice(0, 8)}</a>
                )}
              </td>
              <td>
                <button
                  className="button small"
                  disabled={isBusy || status === 'pending'}
                  onClick={() => void run(() => client.redeliver(webhookId, id)).then(refresh)}
                >
                  Redeliver
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
