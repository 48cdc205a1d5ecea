import { useState, type FormEvent } from 'react'
import { toClientError } from './use-poll.js'
import { connect, SERVICE_URL } from './session.js'
import { Logo } from '../ui/icons.js'

interface Props {
  readonly because: string | undefined
  readonly onToken: (token: string) => void
}

/** The only page that needs no token: it asks for one, and keeps it for this tab. */
export function ConnectPage({ because, onToken }: Props) {
  const [token, setToken] = useState('')
  const [fault, setFault] = useState(because)
  const [isBusy, setBusy] = useState(false)

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault()
    setBusy(true)
    try {
      const client = connect(token.trim())
      // A token of one execution may read the list, which shows only that one.
      await client.list({ limit: 1 }).finally(() => client.close())
      onToken(token.trim())
    } catch (error) {
      setFault(toClientError(error).detail)
      setBusy(false)
    }
  }

  return (
    <main className="connect">
      <form className="card connect-card" onSubmit={(event) => void submit(event)}>
        <Logo />
        <h1>CC Executor</h1>
        <p className="muted">{SERVICE_URL.replace(/^https?:\/\//, '')} asks for a token.</p>
        <label className="field">
          <span>Token</span>
          <input
            type="password"
            autoComplete="off"
            autoFocus
            required
            value={token}
            onChange={({ target }) => setToken(target.value)}
            aria-describedby="token-help"
          />
        </label>
        <p id="token-help" className="hint">
          <code>cc-executor token</code> prints it. It is kept in this tab only, until the tab is closed.
        </p>
        {fault !== undefined && (
          <p className="alert" role="alert">
            {fault}
          </p>
        )}
        <button className="button primary wide" disabled={isBusy || token.trim() === ''}>
          {isBusy ? 'Connecting…' : 'Connect'}
        </button>
      </form>
    </main>
  )
}
