import { useEffect, useState } from 'react'
import type { Approval } from 'cc-executor/client'
import { toHash, usePlace } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'
import { Toggle } from '../ui/toggle.js'
import { ApprovalCard } from './approval-card.js'
import { setSignal, useSignal } from './use-notifications.js'

const LIVE_INTERVAL_MS = 2_000

/** Everything that a run waits with for a person, oldest first. */
export function WaitingPage() {
  const client = useClient()
  const executionId = usePlace().query.get('execution') ?? undefined
  const { value, error, refresh } = usePoll(
    `approvals ${executionId}`,
    (signal) => client.approvals({ limit: 200, executionId }, { signal }),
    LIVE_INTERVAL_MS,
  )
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const approvals = (value?.approvals ?? []).filter(({ id }) => !closed.has(id)).toReversed()
  const close = (approval: Approval): void => {
    setClosed((last) => new Set(last).add(approval.id))
    refresh()
  }
  useKeys()

  return (
    <div className="page">
      <PageHead
        title="Waiting for you"
        hint={
          approvals.length > 0 ? (
            <>
              Keys: <kbd>j</kbd> next, <kbd>k</kbd> previous, <kbd>a</kbd> allow once, <kbd>d</kbd> deny
            </>
          ) : undefined
        }
      >
        <Signals />
      </PageHead>
      {executionId !== undefined && (
        <p className="note">
          Only those of <a href={toHash(['executions', executionId])}>one execution</a>.{' '}
          <a href={toHash(['waiting'])}>Show all</a>
        </p>
      )}
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value && approvals.length === 0 && (
        <Empty icon="check" title="Nothing waits for you">
          <p>
            With “ask” for permissions, a run stops here before it does what needs a person’s permission, and Claude can
            ask questions.
          </p>
          <a className="button" href={toHash(['new'])}>
            New execution
          </a>
        </Empty>
      )}
      {approvals.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} onClosed={close} />
      ))}
    </div>
  )
}

function Signals() {
  const hasSound = useSignal('sound')
  const hasNotification = useSignal('notification')
  return (
    <>
      <Toggle label="Sound" isOn={hasSound} onChange={(isOn) => void setSignal('sound', isOn)} />
      {'Notification' in globalThis && isSecureContext && (
        <Toggle label="Notification" isOn={hasNotification} onChange={(isOn) => void setSignal('notification', isOn)} />
      )}
    </>
  )
}

/** The keys act on the card that has the focus; without one, `j` goes to the first. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const { target, key } = event
      if (event.ctrlKey || event.metaKey || event.altKey) return
      if (target instanceof Element && target.matches('input, textarea, select')) return
      const cards = [...document.querySelectorAll<HTMLElement>('.approval')]
      const index = cards.findIndex((card) => card.contains(document.activeElement))
      if (key === 'j') cards[Math.min(cards.length - 1, index + 1)]?.focus()
      else if (key === 'k') cards[Math.max(0, index - 1)]?.focus()
      else if (key === 'a' || key === 'd')
        cards[index]
          ?.querySelector<HTMLButtonElement>(key === 'a' ? '[data-key="allow"]' : '[data-key="deny"]')
          ?.click()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}
