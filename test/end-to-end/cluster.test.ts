// Two APIs and two workers, each a process of its own, on one Redis: what dies does not take an execution with it.
// What else can break is in test/faults.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { isWhole, openCluster, textOf, type Server, type Transport } from '../support/cluster.js'
import { lasting, scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { describe, listMentioning, livingOf, treeOf, type CliProcess } from '../support/processes.js'
import { until } from '../support/deadlines.js'

t.jobs = 2

/** Of the scripted CLI: so many texts, and the end. */
const ticks = (count: number) => ({ ticks: count, everyMs: 0 })
const ANSWER = { line: { type: 'result', subtype: 'success', is_error: false, result: 'done' } }
/** A run of the real CLI that goes on when a file is there. */
const held = (go: string): string =>
  scripted({ tool: 'Bash', input: { command: `until [ -e ${go} ]; do perl -e 'select(undef,undef,undef,0.1)'; done` } })

const skip =
  process.env['CC_EXECUTOR_TEST_ALL'] === '1'
    ? false
    : 'only in npm run test:all; the fault battery kills and stops workers as well'

void t.test('any API serves any execution, whatever is cut or restarted meanwhile', async (t) => {
  const cluster = await openCluster(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  // All at once: the first one to come makes the token, the other finds it.
  let [first, second] = await Promise.all([
    cluster.openApi(),
    cluster.openApi(),
    cluster.openWorker(),
    cluster.openWorker(),
  ])

  await t.test('submitted on one, watched on the other, cancelled through either', async (t) => {
    const ids = await Promise.all(
      [first, second].map((server) => cluster.submit(server, JSON.stringify([{ tool: lasting() }, ANSWER]))),
    )
    await Promise.all(
      ids.map(async (id, index) => {
        const [submitter, watcher] = index === 0 ? [first, second] : [second, first]
        const seen: Event[] = []
        for await (const event of cluster.follow(watcher, id, 0, index === 0 ? 'sse' : 'websocket')) {
          seen.push(event)
          if (event.type === 'tool.started')
            t.equal(
              (await cluster.call(index === 0 ? submitter : watcher, 'POST', `/executions/${id}/cancel`)).status,
              202,
            )
        }
        isWhole(t, seen)
        t.match(await cluster.get(submitter, id), { status: 'cancelled', outcome: { code: 'CANCELLED' } })
      }),
    )
  })

  await t.test('a client that is cut off at every seq sees every event once', async (t) => {
    const id = await cluster.submit(first, JSON.stringify([{ ticks: 12, everyMs: 60 }, ANSWER]))
    const seen: Event[] = []
    const transports: Transport[] = ['websocket', 'sse', 'rest']
    for (let turn = 0; seen.at(-1)?.type !== 'execution.finished' && turn < 500; turn += 1) {
      for await (const event of cluster.follow(
        turn % 2 === 0 ? first : second,
        id,
        seen.at(-1)?.seq ?? 0,
        transports[turn % 3] ?? 'rest',
      )) {
        seen.push(event)
        break
      }
    }
    isWhole(t, seen)
    t.same(seen, await cluster.readLog(first, id))
    t.match(textOf(seen), /^tick 0tick 1.*tick 11$/)
  })

  await t.test(
    'an API that is stopped, and one that is killed, in mid-run: the client goes on elsewhere',
    async (t) => {
      const [stopped, killed] = [join(cluster.folder, 'stopped'), join(cluster.folder, 'killed')]
      const steps = [ticks(20), { file: stopped }, ticks(20), { file: killed }, ticks(20), ANSWER]
      const id = await cluster.submit(first, JSON.stringify(steps))
      const seen: Event[] = []
      async function take(server: Server, transport: Transport, onSixth?: () => void): Promise<void> {
        let count = 0
        try {
          for await (const event of cluster.follow(server, id, seen.at(-1)?.seq ?? 0, transport)) {
            seen.push(event)
            if ((count += 1) === 6) onSixth?.()
          }
        } catch (error) {
          // A stream that breaks off is what happens here.
          if (!onSixth) throw error
        }
      }
      await take(first, 'websocket', () => first.kill('SIGTERM'))
      t.match(await first.ended, { code: 0 }, 'a stopped API ends well though clients are connected')
      t.not(seen.at(-1)?.type, 'execution.finished', 'it was in mid-run')
      // However much it has told while it stopped: as much follows.
      await writeFile(stopped, '')
      ;[first] = await Promise.all([cluster.openApi(), take(second, 'sse', () => second.kill('SIGKILL'))])
      t.not(seen.at(-1)?.type, 'execution.finished', 'it was in mid-run')
      await writeFile(killed, '')
      await take(first, 'rest')
      isWhole(t, seen)
      t.match(await cluster.finished(first, id), { status: 'succeeded', attempt: 1 })
      second = await cluster.openApi()
    },
  )
})

void t.test(
  'a worker that is killed in mid-run: failed once, nothing of it alive, the queue goes on',
  { skip },
  async (t) => {
    const cluster = await openCluster(t, { env: { CC_EXECUTOR_LOCK_SECONDS: '4', CC_EXECUTOR_CONCURRENCY: '1' } })
    const [api, victim] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    const tag = `300.${process.pid}${Math.floor(Math.random() * 1e6)}`
    const command =
      `setsid nohup sleep ${tag}1 >/dev/null 2>&1 & ( (sleep ${tag}2 >/dev/null 2>&1 &) & ) ; env -i ` +
      `setsid sleep ${tag}3 </dev/null >/dev/null 2>&1 & sleep ${tag}4`
    const id = await cluster.submit(api, scripted({ tool: 'Bash', input: { command } }), { allowedTools: ['Bash'] })
    await until(
      () => [1, 2, 3, 4].every((which) => listMentioning(`sleep ${tag}${which}`, 'cmdline').length > 0),
      'all four are there',
    )
    const queued = await cluster.submit(api, 'Say hello')
    const everything = treeOf(victim.pid)
    t.equal(everything.length > 6, true, 'the tree was seen')
    await Promise.all([cluster.openWorker(), cluster.openApi()])
    victim.kill('SIGKILL')
    const lost = await cluster.finished(api, id)
    t.match(lost, {
      status: 'failed',
      attempt: 1,
      outcome: { code: 'WORKER_LOST', message: /died or lost its connection/ },
    })
    t.same(describe([...livingOf(everything), ...listMentioning(tag, 'cmdline')]), [], 'no descendant is alive')
    t.match(await cluster.finished(api, queued), { status: 'succeeded' })
    // Two APIs and a worker look for abandoned executions.
    isWhole(t, await cluster.readLog(api, id))
  },
)

void t.test(
  'a worker that is stopped lets short runs finish and concludes long ones honestly, exit code 0',
  { skip },
  async (t) => {
    const cluster = await openCluster(t)
    const [api, patient, hasty] = await Promise.all([
      cluster.openApi(),
      cluster.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '400' }),
      cluster.openWorker({ CC_EXECUTOR_DRAIN_SECONDS: '0' }),
    ])
    // Two on each: which worker takes which is not known before.
    const go = join(cluster.folder, 'go')
    const ids = await Promise.all([1, 2, 3, 4].map(() => cluster.submit(api, held(go), { allowedTools: ['Bash'] })))
    await until(
      async () =>
        (await Promise.all(ids.map((id) => cluster.get(api, id)))).every(({ status }) => status === 'running'),
      'all run',
    )
    const logs = await Promise.all(ids.map((id) => cluster.readLog(api, id)))
    const isOf = (worker: CliProcess) =>
      ids.filter((_, index) =>
        logs[index]?.some(
          (event) =>
            event.type === 'execution.started' &&
            (event as Event<'execution.started'>).data.workerId.includes(`-${worker.pid}-`),
        ),
      )
    const trees = [patient, hasty].flatMap(({ pid }) => treeOf(pid))
    patient.kill('SIGTERM')
    hasty.kill('SIGTERM')
    await until(
      async () =>
        (await cluster.call(api, 'GET', '/queue')).body.workers.every(
          ({ draining }: { draining: boolean }) => draining,
        ),
      'both say that they take nothing more',
    )
    const queued = await cluster.submit(api, 'Say hello')
    await hasty.ended
    await writeFile(go, '')
    for (const worker of [patient, hasty]) {
      t.match(await worker.ended, { code: 0, signal: null })
      t.equal(isOf(worker).length, 2)
      for (const id of isOf(worker)) {
        t.match(
          await cluster.get(api, id),
          worker === patient
            ? { status: 'succeeded' }
            : { status: 'failed', outcome: { code: 'WORKER_LOST', message: /^The worker was stopped before .+\.$/ } },
        )
        isWhole(t, await cluster.readLog(api, id))
      }
    }
    t.same(describe(livingOf(trees)), [], 'nothing of them is left')
    t.match(await cluster.get(api, queued), { status: 'queued' }, 'they took nothing new')
    await cluster.openWorker()
    t.match(await cluster.finished(api, queued), { status: 'succeeded' })
  },
)
