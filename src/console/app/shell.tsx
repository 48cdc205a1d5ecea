import { lazy, Suspense, useEffect, useRef, useState, type ComponentType } from 'react'
import { ExecutionsPage } from '../executions/executions-page.js'
import { Icon, Logo, type IconName } from '../ui/icons.js'
import { ErrorBoundary } from '../ui/error-boundary.js'
import { Loading } from '../ui/states.js'
import { toHash, usePlace } from './router.js'
import { useClient, useSession } from './session.js'
import { ThemeMenu } from './theme-menu.js'
import { usePoll } from './use-poll.js'
import { useNotifications } from '../waiting/use-notifications.js'

const COUNT_INTERVAL_MS = 5_000

interface Page {
  readonly name: string
  readonly title: string
  readonly icon: IconName
  readonly view: ComponentType
}

const load = (get: () => Promise<ComponentType>): ComponentType => lazy(async () => ({ default: await get() }))
const PAGES: readonly Page[] = [
  { name: 'executions', title: 'Executions', icon: 'list', view: ExecutionsPage },
  {
    name: 'waiting',
    title: 'Waiting for you',
    icon: 'bell',
    view: load(async () => (await import('../waiting/waiting-page.js')).WaitingPage),
  },
  {
    name: 'new',
    title: 'New execution',
    icon: 'plus',
    view: load(async () => (await import('../submit/new-page.js')).NewPage),
  },
  {
    name: 'queue',
    title: 'Queue, workers',
    icon: 'layers',
    view: load(async () => (await import('../operations/queue-page.js')).QueuePage),
  },
  {
    name: 'usage',
    title: 'Usage',
    icon: 'chart',
    view: load(async () => (await import('../operations/usage-page.js')).UsagePage),
  },
  {
    name: 'schedules',
    title: 'Schedules',
    icon: 'clock',
    view: load(async () => (await import('../operations/schedules-page.js')).SchedulesPage),
  },
  {
    name: 'webhooks',
    title: 'Webhooks',
    icon: 'send',
    view: load(async () => (await import('../operations/webhooks-page.js')).WebhooksPage),
  },
  {
    name: 'tokens',
    title: 'Tokens',
    icon: 'key',
    view: load(async () => (await import('../operations/tokens-page.js')).TokensPage),
  },
  {
    name: 'health',
    title: 'Health',
    icon: 'pulse',
    view: load(async () => (await import('../operations/health-page.js')).HealthPage),
  },
]
const ExecutionPage = load(async () => (await import('../execution/execution-page.js')).ExecutionPage)

/** The frame of every page: where one is, where one can go, and what waits for a decision. */
export function Shell() {
  const { token, leave } = useSession()
  const client = useClient()
  const { path } = usePlace()
  const name = path[0] ?? 'executions'
  const page = PAGES.find((page) => page.name === name)
  const View = name === 'executions' && path[1] !== undefined ? ExecutionPage : (page?.view ?? Unknown)
  const waiting = usePoll('waiting', (signal) => client.approvals({ limit: 50 }, { signal }), COUNT_INTERVAL_MS)
  const approvals = waiting.value?.approvals ?? []
  useNotifications(approvals)
  const [isOpen, setOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const where = path.join('/')
  // Another view of an execution is no other page: it keeps what was read.
  const subject = path.slice(0, 2).join('/')

  useEffect(() => setOpen(false), [where])
  useEffect(() => {
    const count = approvals.length > 0 ? `(${approvals.length}) ` : ''
    document.title = `${count}${path[1] === undefined ? (page?.title ?? 'CC Executor') : path[1].slice(0, 8)} · CC Executor`
  }, [approvals.length, page, path])

  return (
    <div className="shell" data-open={isOpen || undefined}>
      <a className="skip-link" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header className="topbar">
        <button className="button quiet icon" aria-label="Menu" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name="menu" />
        </button>
        <Logo small />
        <strong>{page?.title ?? 'CC Executor'}</strong>
        {approvals.length > 0 && (
          <a className="count" href={toHash(['waiting'])} aria-label={`${approvals.length} waiting for you`}>
            {approvals.length}
          </a>
        )}
      </header>
      <div className="sidebar">
        <a className="brand" href={toHash(['executions'])}>
          <Logo small />
          <span>CC Executor</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ name: target, title, icon }) => (
            <a
              key={target}
              className="nav-link"
              href={toHash([target])}
              aria-current={target === name ? 'page' : undefined}
            >
              <Icon name={icon} />
              <span>{title}</span>
              {target === 'waiting' && approvals.length > 0 && (
                <span className="count" aria-label={`${approvals.length} pending`}>
                  {approvals.length}
                </span>
              )}
            </a>
          ))}
        </nav>
        <div className="sidebar-foot">
          <ThemeMenu />
          {token !== undefined && (
            <button className="button quiet small" onClick={leave}>
              Forget the token
            </button>
          )}
        </div>
      </div>
      <main id="main" ref={main} tabIndex={0} className="main">
        <ErrorBoundary key={subject}>
          <Suspense fallback={<Loading />}>
            <View />
          </Suspense>
        </ErrorBoundary>
      </main>
    </div>
  )
}

function Unknown() {
  return (
    <div className="empty">
      <h1>There is no such page</h1>
      <p>
        <a href={toHash(['executions'])}>All executions</a>
      </p>
    </div>
  )
}
