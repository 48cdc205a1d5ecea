import { useState } from 'react'
import type { Execution } from 'cc-executor/client'
import { formatCost, formatDuration } from '../app/format.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { GitResult } from '../timeline/repository-result.js'
import { Icon } from '../ui/icons.js'
import { saveText } from '../ui/save-file.js'
import { Empty, Fault } from '../ui/states.js'
import { hasEnded } from '../ui/status.js'
import { useAction } from '../ui/use-action.js'
import { verifyExecution, type Check, type Report } from './verify-receipt.js'

const NAMES = { pass: 'passed', fail: 'failed', skip: 'nothing to compare' } as const

const Checks = ({ checks }: { readonly checks: readonly Check[] }) => (
  <ul className="checks">
    {checks.map(({ name, status, detail }) => (
      <li key={name} className={status}>
        <Icon name={status === 'pass' ? 'check' : status === 'fail' ? 'cross' : 'info'} size={16} />
        <span>
          <strong>{name.replaceAll('_', ' ')}</strong> <span className="sr-only">{NAMES[status]}: </span>
          <span className="muted">{detail}</span>
        </span>
      </li>
    ))}
  </ul>
)

/** What the server saw of the run, and signed. */
export function EvidenceTab({ execution }: { readonly execution: Execution }) {
  const { id, status, outcome, usage, sessionId, workerId, attempt } = execution
  if (!hasEnded(status) || !outcome)
    return (
      <Empty icon="lock" title="The evidence is here when the run has ended">
        <p>Then the server holds the claims against what it saw, and signs a receipt.</p>
      </Empty>
    )
  const { verification, permissionDenials = [], sandbox } = outcome
  return (
    <div className="columns">
      <section className="card">
        <h2>Receipt</h2>
        <ReceiptPart id={id} />
      </section>
      <section className="card">
        <h2>What the server checked</h2>
        {verification && verification.checks.length > 0 ? (
          <Checks checks={verification.checks} />
        ) : (
          <p className="muted">Nothing could be checked. This does not mean success.</p>
        )}
      </section>
      <GitResult executionId={id} outcome={outcome} />
      <section className="card">
        <h2>Denied calls</h2>
        {permissionDenials.length === 0 && <p className="muted">No call was denied.</p>}
        {permissionDenials.map(({ tool, input, allowWith, by }) => (
          <div key={`${tool} ${input}`} className="denial">
            <strong>{tool}</strong> {by !== undefined && <span className="muted">denied by {by}</span>}
            <code className="block">{input}</code>
            {by === undefined && (
              <p className="hint">
                To allow it: <code>{allowWith}</code>
              </p>
            )}
          </div>
        ))}
      </section>
      <section className="card">
        <h2>Facts</h2>
        <dl className="facts-list">
          <Fact name="Duration" value={formatDuration(usage.durationMs)} />
          <Fact name="Cost" value={`${formatCost(usage.costUsd)}${usage.isCostIncomplete ? ', incomplete' : ''}`} />
          <Fact name="Input tokens" value={usage.inputTokens.toLocaleString('en')} />
          <Fact name="Output tokens" value={usage.outputTokens.toLocaleString('en')} />
          <Fact
            name="Cache, read and written"
            value={`${usage.cacheReadTokens.toLocaleString('en')}, ${usage.cacheCreationTokens.toLocaleString('en')}`}
          />
          <Fact name="Attempts" value={String(attempt)} />
          <Fact name="Exit code" value={outcome.exitCode === undefined ? undefined : String(outcome.exitCode)} />
          <Fact name="Stop reason" value={outcome.stopReason} />
          <Fact name="Sandbox" value={sandbox?.level} />
          <Fact name="Worker" value={workerId} />
          <Fact name="Session" value={sessionId} />
        </dl>
      </section>
    </div>
  )
}

const Fact = ({ name, value }: { readonly name: string; readonly value: string | undefined }) =>
  value === undefined ? null : (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  )

function ReceiptPart({ id }: { readonly id: string }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [report, setReport] = useState<Report>()
  const receipt = usePoll(`receipt ${id}`, (signal) => client.receipt(id, { signal }), undefined)
  return (
    <>
      <p className="muted">
        The signed record of this execution. It shows what the service recorded, not that the answer is right.
      </p>
      <div className="actions">
        <button
          className="button primary"
          disabled={isBusy}
          onClick={() => void run(async () => setReport(await verifyExecution(client, id)))}
        >
          {isBusy ? 'Verifying…' : 'Verify'}
        </button>
        <button
          className="button"
          disabled={receipt.value === undefined}
          onClick={() => saveText(`receipt-${id}.json`, 'application/json', receipt.value ?? '')}
        >
          Download
        </button>
      </div>
      <Fault error={error ?? receipt.error} />
      {report && (
        <div className={`verdict ${report.valid ? 'good' : 'bad'}`} role="status">
          <p>
            <Icon name={report.valid ? 'check' : 'cross'} size={18} />{' '}
            <strong>{report.valid ? 'Everything matches' : 'Something was changed'}</strong>
            <span className="muted">
              {report.by === 'browser'
                ? ' · checked by this browser'
                : ' · checked by the service: this browser cannot'}
            </span>
          </p>
          <Checks checks={report.checks} />
        </div>
      )}
    </>
  )
}
