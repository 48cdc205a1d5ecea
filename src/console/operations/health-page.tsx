import type { Client } from 'cc-executor/client'
import { formatDuration } from '../app/format.js'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Icon } from '../ui/icons.js'
import { Fault, Loading, PageHead } from '../ui/states.js'

const LIVE_INTERVAL_MS = 5_000
const TITLES = {
  redis: 'Redis',
  queue: 'Queue',
  workers: 'Workers',
  claude: 'Claude',
  containment: 'Containment',
} as const
type Readiness = Awaited<ReturnType<Client['ready']>>
const WORDS = { ok: 'in order', degraded: 'degraded', failed: 'failed' } as const

export function HealthPage() {
  const client = useClient()
  const { value, error } = usePoll(
    'health',
    async (signal) => {
      const [health, ready, auth] = await Promise.all([
        client.health({ signal }),
        client.ready({ signal }),
        client.auth({ signal }),
      ])
      return { health, ready, auth }
    },
    LIVE_INTERVAL_MS,
  )
  if (!value) return error ? <Fault error={error} /> : <Loading />
  const { health, ready, auth } = value
  return (
    <div className="page">
      <PageHead
        title="Health"
        hint={`Version ${health.version}, up for ${formatDuration(health.uptimeSeconds * 1_000)}${health.simulated ? ', with a scripted model' : ''}`}
      />
      <Fault error={error} />
      <div className={`verdict ${ready.status === 'ok' ? 'good' : 'bad'}`} role="status">
        <p>
          <Icon name={ready.status === 'ok' ? 'check' : 'cross'} size={18} />{' '}
          <strong>{ready.status === 'ok' ? 'Executions can run' : 'Executions cannot run'}</strong>
        </p>
      </div>
      <div className="columns">
        {Object.entries(TITLES).map(([name, title]) => {
          const part = ready.parts[name as keyof typeof TITLES]
          const remedies = remediesOf(ready, name)
          return (
            <section key={name} className={`card part ${part.status}`} aria-label={title}>
              <div className="card-head">
                <h2>{title}</h2>
                <span className="spacer" />
                <span className={`part-state ${part.status}`}>
                  <Icon name={part.status === 'ok' ? 'check' : part.status === 'failed' ? 'cross' : 'info'} size={15} />
                  {WORDS[part.status]}
                </span>
              </div>
              <p className="pre-wrap">{part.message}</p>
              {remedies.map((remedy) => (
                <p key={remedy} className="note warn pre-wrap">
                  {remedy}
                </p>
              ))}
            </section>
          )
        })}
        <section className="card" aria-label="Authentication">
          <h2>Authentication</h2>
          <p>{auth.message}</p>
          {auth.remedy !== undefined && <p className="note warn pre-wrap">{auth.remedy}</p>}
          <ul className="moments">
            {auth.workers.map(({ workerId, credential, authentication }) => (
              <li key={`${workerId} ${credential}`}>
                <strong>{credential}</strong> {authentication.message}{' '}
                <span className="muted">{authentication.source}</span>
                {authentication.remedy !== undefined && <p className="note warn">{authentication.remedy}</p>}
              </li>
            ))}
          </ul>
        </section>
      </div>
    </div>
  )
}

/** What can be done about a part beyond its message: what its credentials say. */
function remediesOf({ parts }: Readiness, name: string): readonly string[] {
  if (name === 'claude')
    return (parts.claude.credentials ?? []).flatMap(({ name, problem, warning }) =>
      [problem, warning].filter((text) => text !== undefined).map((text) => `${name}: ${text}`),
    )
  return []
}
