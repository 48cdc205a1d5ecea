// The tables of deployment/CAPACITY.md, reckoned from the figures of a release.
import type { Release } from './guard.js'

/** What is reckoned with; the page says so. */
const ASSUMED = { slots: 4, linesPerSecond: 20, share: 0.7 } as const
const WORKERS = [10, 100, 1_000]
const MARKS = ['<!-- measured: npm run bench -- --record -->', '<!-- end of what is measured -->'] as const

/** Two digits that count, with commas. */
const rough = (value: number): string =>
  Number(value.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 2 })
const percent = (share: number): string => `${rough(share * 100)} %`

interface Figures {
  readonly commits: readonly string[]
  readonly submits: number
  readonly deliveries: number
  readonly socketKib: number
  readonly waitingKb: number
  readonly finishedKb: number
  readonly quickRuns: number
  readonly apiUs: number
  readonly workerUs: number
  readonly redisUs: number
  readonly idleMs: number
  readonly idleConnections: number
}

/** @throws Error where a row is missing: nothing is told as measured that was not */
function readFigures({ rows }: Release): Figures {
  const commits = new Set<string>()
  const of = (id: string): number => {
    const row = rows[id]
    if (!row) throw new Error(`the release has no row ${id}`)
    commits.add(row.commit)
    return row.here
  }
  const figures = {
    submits: of('submit.rate'),
    deliveries: of('fan-out.rate'),
    socketKib: of('idle-sockets.subscribed'),
    waitingKb: of('redis-size.waiting'),
    finishedKb: of('redis-size.finished'),
    quickRuns: of('quick-runs.bubblewrap.rate'),
    apiUs: of('pace.100x20.cpu-api'),
    workerUs: of('pace.100x20.cpu-worker'),
    redisUs: of('pace.100x20.cpu-redis'),
    idleMs: of('idle-workers.redis'),
    idleConnections: of('idle-workers.connections'),
  }
  return { ...figures, commits: [...commits] }
}

function toCarried(figures: Figures): string[] {
  const { share } = ASSUMED
  const { apiUs, workerUs, redisUs } = figures
  const lines = (us: number): string => rough((share * 1e6) / us)
  return [
    '| measured | figure | so it carries |',
    '|---|---|---|',
    `| POST /execute, 32 connections | ${rough(figures.submits)} a second | one API: as many submissions a second |`,
    `| a line of one of 100 runs, 20 a second each, one watcher | CPU of API ${rough(apiUs)}, worker ` +
      `${rough(workerUs)}, Redis ${rough(redisUs)} us | at ${percent(share)} of a core: API ${lines(apiUs)}, worker ` +
      `${lines(workerUs)}, Redis ${lines(redisUs)} lines a second |`,
    `| one run before 1,000 watchers, at full speed | ${rough(figures.deliveries)} deliveries a second | one API |`,
    `| a watcher that hears nothing | ${rough(figures.socketKib)} KiB of the API | 10,000 (the default limit) in ` +
      `${rough((figures.socketKib * 10_000) / 1024)} MiB |`,
    `| an execution that waits | ${rough(figures.waitingKb)} KB of Redis | 10,000 (the default limit) in ` +
      `${rough(figures.waitingKb * 10)} MB |`,
    `| a finished one, 20 deltas and 6 KB of text | ${rough(figures.finishedKb)} KB of Redis | ` +
      `100,000 (the default limit) in ${rough(figures.finishedKb * 100)} MB |`,
    `| a worker without work | ${rough(figures.idleMs)} ms of Redis a second, ${rough(figures.idleConnections)} ` +
      `connections | 1,000 of them: ${percent(figures.idleMs)} of a core of Redis |`,
    `| runs that end at once, API, Redis and worker on two cores | ${rough(figures.quickRuns)} a second | the most starts |`,
  ]
}

function toFirst({ api, redis }: { api: number; redis: number }): string {
  if (Math.max(api, redis) < ASSUMED.share) return 'the worker hosts: memory and CPU of the CLIs'
  if (redis < ASSUMED.share) return `one API: it takes ${Math.ceil(api / ASSUMED.share)}`
  return 'Redis: it has one core'
}

function toWorkers({ apiUs, redisUs, idleMs }: Figures): string[] {
  const { slots, linesPerSecond } = ASSUMED
  const rows = WORKERS.map((workers) => {
    const lines = workers * slots * linesPerSecond
    const api = (lines * apiUs) / 1e6
    const redis = (lines * redisUs) / 1e6 + (workers * idleMs) / 1000
    const cells = [workers, workers * slots, lines].map((count) => count.toLocaleString('en-US'))
    return `| ${[...cells, percent(api), percent(redis), toFirst({ api, redis })].join(' | ')} |`
  })
  return [
    '| workers | runs at once | lines a second | of one API’s core | of Redis’ core | gives out first |',
    '|---|---|---|---|---|---|',
    ...rows,
  ]
}

/** The page with its tables as the release has them. */
export function fillCapacity(page: string, release: Release): string {
  const [begin, end] = MARKS
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error('the page has no place for its tables')
  const figures = readFigures(release)
  const tables = [...toCarried(figures), '', ...toWorkers(figures)].join('\n')
  return `${before}${begin}\n\nMeasured at commit ${figures.commits.join(', ')}.\n\n${tables}\n\n${end}${after}`
}
