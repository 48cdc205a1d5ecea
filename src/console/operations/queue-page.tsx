import { formatDuration, formatTime } from '../app/format.js'
import { toHash } from '../app/router.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'
import { Figure, Figures } from './figures.js'

const LIVE_INTERVAL_MS = 3_000

export function QueuePage() {
  const client = useClient()
  const { value, error } = usePoll('queue', (signal) => client.queue({ signal }), LIVE_INTERVAL_MS)
  if (!value) return error ? <Fault error={error} /> : <Loading />
  const { byPriority, workers, credentials = [] } = value
  const wait = value.estimatedWaitSeconds
  return (
    <div className="page">
      <PageHead title="Queue and workers" />
      <Fault error={error} />
      <Figures>
        <Figure name="Waiting" value={value.depth} detail={`of ${value.maxDepth.toLocaleString('en')} at most`} />
        <Figure name="Running" value={value.running} detail={`${value.capacity} slots`} />
        <Figure name="Waiting for approval" value={value.waitingForApproval} link={toHash(['waiting'])} />
        <Figure name="Waiting for budget" value={value.waitingForBudget} />
        <Figure
          name="A new one starts"
          value={wait === null ? 'unknown' : wait === 0 ? 'at once' : `in ${formatDuration(wait * 1_000)}`}
        />
      </Figures>
      <p className="muted">
        By priority: {byPriority.high} high, {byPriority.normal} normal, {byPriority.low} low ·{' '}
        {value.waitingForWorkspace} for a workspace · {value.waitingForRetry} for their start time · {value.paused}{' '}
        paused
      </p>
      <h2>Workers</h2>
      {workers.length === 0 ? (
        <Empty icon="layers" title="No worker is connected">
          <p>
            Executions are accepted and wait. Start a worker with <code>cc-executor worker</code>, or everything with{' '}
            <code>cc-executor start</code>.
          </p>
        </Empty>
      ) : (
        <div className="table-scroll" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th>Worker</th>
                <th>Host</th>
                <th>Running</th>
                <th>State</th>
                <th>Credentials</th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.id}>
                  <td>{worker.id}</td>
                  <td>{worker.host}</td>
                  <td>
                    <meter min={0} max={worker.concurrency} value={worker.running} aria-label="Slots in use" />{' '}
                    {worker.running} of {worker.concurrency}
                  </td>
                  <td>{worker.draining ? 'draining' : (worker.pausedBecause ?? 'ready')}</td>
                  <td>{(worker.credentials ?? [worker.credential]).join(', ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {credentials.length > 0 && (
        <>
          <h2>Credentials</h2>
          <div className="table-scroll" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th>Name</th>
                  <th>Method</th>
                  <th>Limits</th>
                  <th>State</th>
                </tr>
              </thead>
              <tbody>
                {credentials.map(({ name, method, account, blockedUntil, problem, warning }) => (
                  <tr key={name}>
                    <td>{name}</td>
                    <td>{method.replaceAll('_', ' ')}</td>
                    <td>
                      {(account?.limits ?? []).map((limit) => (
                        <div key={limit.name}>
                          {limit.name.replaceAll('_', ' ')}{' '}
                          {limit.utilization === undefined
                            ? limit.status
                            : `${Math.round(limit.utilization * 100)} % used`}
                        </div>
                      ))}
                    </td>
                    <td>
                      {problem ??
                        (blockedUntil === undefined
                          ? (warning ?? 'ready')
                          : `limit reached until ${formatTime(blockedUntil)}`)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </div>
  )
}
