import { useState, type FormEvent } from 'react'
import type { Token, TokenRequest } from 'cc-executor/client'
import { formatCost, formatTime } from '../app/format.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { CopyButton } from '../ui/copy-button.js'
import { Dialog } from '../ui/dialog.js'
import { Icon } from '../ui/icons.js'
import { Fault, Loading, PageHead } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'

const LIVE_INTERVAL_MS = 15_000
const SCOPES = ['read', 'execute', 'approve', 'admin'] as const satisfies readonly TokenRequest['scopes'][number][]
const DAY_MS = 86_400_000

export function TokensPage() {
  const client = useClient()
  const { value, error, refresh } = usePoll(
    'tokens',
    (signal) => client.tokens({ limit: 200 }, { signal }),
    LIVE_INTERVAL_MS,
  )
  const [isMaking, setMaking] = useState(false)
  return (
    <div className="page">
      <PageHead title="Tokens">
        {value && (
          <button className="button primary" onClick={() => setMaking(true)}>
            <Icon name="plus" size={16} /> New token
          </button>
        )}
      </PageHead>
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value && (
        <div className="table-scroll" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th>Name</th>
                <th>Scopes</th>
                <th>Limits</th>
                <th>Expires</th>
                <th>From</th>
                <th>
                  <span className="sr-only">Action</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {value.tokens.map((token) => (
                <Row key={token.id} token={token} refresh={refresh} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {isMaking && (
        <NewToken
          onClose={() => {
            setMaking(false)
            refresh()
          }}
        />
      )}
    </div>
  )
}

function Row({ token, refresh }: { readonly token: Token; readonly refresh: () => void }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const { id, name, scopes, origin, status, expiresAt, dailyBudgetUsd, maxConcurrent, executionId } = token
  const limits = [
    dailyBudgetUsd === undefined ? '' : `${formatCost(dailyBudgetUsd)} a day`,
    maxConcurrent === undefined ? '' : `${maxConcurrent} at once`,
    executionId === undefined ? '' : 'one execution',
  ].filter(Boolean)
  return (
    <tr>
      <td>
        <strong>{name}</strong>
        <Fault error={error} />
      </td>
      <td>{scopes.join(', ')}</td>
      <td>{limits.join(', ') || 'none'}</td>
      <td>{status === 'expired' ? 'expired' : expiresAt === undefined ? 'never' : formatTime(expiresAt)}</td>
      <td>{origin === 'api' ? 'the API' : 'the configuration'}</td>
      <td className="end">
        {origin === 'api' && (
          <button
            className="button small danger"
            disabled={isBusy}
            onClick={() =>
              confirm(`Revoke the token ${name}? It takes effect at once.`) &&
              void run(() => client.revokeToken(id)).then(refresh)
            }
          >
            Revoke
          </button>
        )}
      </td>
    </tr>
  )
}

function NewToken({ onClose }: { readonly onClose: () => void }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<readonly TokenRequest['scopes'][number][]>(['read', 'execute'])
  const [days, setDays] = useState('30')
  const [secret, setSecret] = useState<string>()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    void run(async () => {
      const expiresAt = days.trim() === '' ? undefined : new Date(Date.now() + Number(days) * DAY_MS).toISOString()
      const made = await client.createToken({ name, scopes: [...scopes], expiresAt })
      setSecret(made.secret)
    })
  }
  return (
    <Dialog title="New token" onClose={onClose}>
      {secret === undefined ? (
        <form onSubmit={submit}>
          <label className="field">
            <span>Name</span>
            <input className="input" required value={name} onChange={({ target }) => setName(target.value)} />
          </label>
          <fieldset className="plain">
            <legend>Scopes</legend>
            {SCOPES.map((scope) => (
              <label key={scope} className="check">
                <input
                  type="checkbox"
                  checked={scopes.includes(scope)}
                  onChange={({ target }) =>
                    setScopes(SCOPES.filter((one) => (one === scope ? target.checked : scopes.includes(one))))
                  }
                />
                {scope}
              </label>
            ))}
          </fieldset>
          <label className="field">
            <span>Days until it expires</span>
            <input
              className="input"
              type="number"
              min="0.01"
              step="any"
              value={days}
              onChange={({ target }) => setDays(target.value)}
            />
          </label>
          <Fault error={error} />
          <button className="button primary" disabled={isBusy || scopes.length === 0}>
            Make the token
          </button>
        </form>
      ) : (
        <>
          <p>This secret is shown once, now:</p>
          <pre className="code wrap" tabIndex={0}>
            {secret}
          </pre>
          <CopyButton text={secret} />
        </>
      )}
    </Dialog>
  )
}
