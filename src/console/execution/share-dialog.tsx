import { useState } from 'react'
import { toHash } from '../app/router.js'
import { SERVICE_URL, useClient } from '../app/session.js'
import { CopyButton } from '../ui/copy-button.js'
import { Dialog } from '../ui/dialog.js'
import { Fault } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'

const DAY_MS = 86_400_000

/** A link with a token that shows this execution and nothing else. */
export function ShareDialog({ executionId, onClose }: { readonly executionId: string; readonly onClose: () => void }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [mayDecide, setMayDecide] = useState(false)
  const [link, setLink] = useState<string>()
  const make = async (): Promise<void> => {
    const { secret } = await client.createToken({
      name: `link to ${executionId.slice(0, 8)}`,
      scopes: mayDecide ? ['read', 'approve'] : ['read'],
      executionId,
      expiresAt: new Date(Date.now() + DAY_MS).toISOString(),
    })
    setLink(`${SERVICE_URL}/console/${toHash(['executions', executionId], { token: secret })}`)
  }
  return (
    <Dialog title="Share a link" onClose={onClose}>
      <p>
        Everybody with the link can watch this execution, and nothing else, for one day. It needs a new token, which an
        admin can revoke under Tokens.
      </p>
      {link === undefined ? (
        <>
          <label className="check">
            <input type="checkbox" checked={mayDecide} onChange={({ target }) => setMayDecide(target.checked)} />
            May also decide on its approvals
          </label>
          <Fault error={error} />
          <button className="button primary" disabled={isBusy} onClick={() => void run(make)}>
            Make the link
          </button>
        </>
      ) : (
        <>
          <pre className="code wrap" tabIndex={0}>
            {link}
          </pre>
          <CopyButton text={link} label="Copy the link" />
        </>
      )}
    </Dialog>
  )
}
