// Task lists with the real CLI, and with workers and APIs that are processes of their own and die.
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openClient } from '../../src/client/open-client.js'
import type { Event } from '../../src/protocol/events.js'
import { isWhole, openCluster } from '../support/cluster.js'
import { scripted } from '../support/environment.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { makeFolder, treeOf } from '../support/processes.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const skip = isAll ? false : 'only in npm run test:all'
const RESULT = { line: { type: 'result', subtype: 'success', is_error: false, result: 'done' } }
const toldOf = (log: readonly Event[]): string[] =>
  log.flatMap(({ type, data }) => ('index' in data ? [`${type} ${data.index}`] : []))
const inOrder = (count: number): string[] =>
  Array.from({ length: count }, (_none, index) => [`task.started ${index}`, `task.finished ${index}`]).flat()

void t.test(
  'each task of the real CLI has a context of its own and the files of those before; a WebSocket watches the list',
  async (t) => {
    const count = isAll ? 5 : 2
    const service = await openTestService(t)
    const write = (index: number): string =>
      scripted(
        { text: `Task ${index}.` },
        { tool: 'Write', input: { file_path: `task-${index}.txt`, content: `by ${index}` } },
      )
    const { id } = await service.submit({
      tasks: Array.from({ length: count }, (_none, index) => `MARK-${index} ${write(index)}`),
    })
    const client = openClient({ url: service.url(), token: service.token })
    t.teardown(() => client.close())
    const seen: Event[] = []
    for await (const event of client.follow(id)) seen.push(event)
    isWhole(t, seen)
    t.same(toldOf(seen), inOrder(count))
    const list = await service.finished(id)
    t.match(list, { status: 'succeeded', kind: 'task_list', simulated: true })
    const { requests } = service.simulator
    for (let index = 0; index < count; index += 1) {
      const own = requests.filter(({ prompt }) => prompt?.includes(`MARK-${index} `))
      t.ok(own.length > 0, `tasks[${index}] was asked`)
      t.same(
        own.filter(({ said }) =>
          Array.from({ length: count }, (_none, other) => other).some(
            (other) => other !== index && (said?.join('\n') ?? '').includes(`MARK-${other} `),
          ),
        ),
        [],
        'and has heard of no other',
      )
      t.equal(
        await readFile(join(service.config.workspaceRoot, list.workspace, `task-${index}.txt`), 'utf8'),
        `by ${index}`,
        'in one workspace',
      )
    }
  },
)

void t.test(
  'a worker that is killed in mid-list ends its task alone; the list goes on as was asked',
  { skip },
  async (t) => {
    const cluster = await openCluster(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_LOCK_SECONDS: '6', CC_EXECUTOR_CONCURRENCY: '1' },
    })
    const [api, worker] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    const mark = (index: number): Record<string, unknown> => ({ tool: `echo ${index} >> starts` })
    const held = JSON.stringify([
      mark(1),
      { line: { type: 'system', subtype: 'init', session_id: 's' } },
      { hang: true },
    ])
    const tasks = [
      JSON.stringify([mark(0), RESULT]),
      held,
      JSON.stringify([mark(2), RESULT]),
      JSON.stringify([mark(3), RESULT]),
    ]
    const { id } = (await cluster.call(api, 'POST', '/execute', { tasks, onTaskFailure: 'continue' })).body
    for await (const event of cluster.follow(api, id, 0, 'sse'))
      if (event.type === 'task.started' && 'index' in event.data && event.data.index === 1) break
    const running = (await cluster.get(api, id)).tasks?.[1]
    for await (const event of cluster.follow(api, running?.id ?? '', 0, 'rest'))
      if (event.type === 'claude.message') break
    for (const { pid } of treeOf(worker.pid)) if (pid === worker.pid) process.kill(pid, 'SIGKILL')
    await cluster.openWorker()
    const list = await cluster.finished(api, id)
    t.match(list, {
      status: 'failed',
      outcome: { code: 'TASK_FAILED', message: /^tasks\[1\] of 4 / },
      tasks: [{ status: 'succeeded' }, { status: 'failed' }, { status: 'succeeded' }, { status: 'succeeded' }],
    })
    t.match(await cluster.get(api, running?.id ?? ''), { outcome: { code: 'WORKER_LOST' } })
    const log = await cluster.readLog(api, id)
    isWhole(t, log)
    t.same(toldOf(log), inOrder(4))
    t.same(
      (await readFile(join(cluster.folder, 'data/workspaces', list.workspace, 'starts'), 'utf8')).trim().split('\n'),
      ['0', '1', '2', '3'],
      'in order, nothing twice',
    )
  },
)

void t.test(
  'a worker that is killed in a hook of a list: what was told is not run again, and the end comes without it',
  { skip },
  async (t) => {
    const folder = await makeFolder(t)
    const hooks = join(folder, 'hooks.json')
    const hang = (name: string): string =>
      `echo ${name} >> marks; [ -e ${name}.once ] || { touch ${name}.once; sleep 60; }`
    await writeFile(
      hooks,
      JSON.stringify({
        timeoutSeconds: 90,
        'pre-task-list': ['echo first >> marks', hang('second')],
        'post-task-list': hang('last'),
      }),
    )
    const cluster = await openCluster(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_LOCK_SECONDS: '6', CC_EXECUTOR_HOOKS: hooks },
    })
    const [api, worker] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    const { id } = (await cluster.call(api, 'POST', '/execute', { tasks: [JSON.stringify([RESULT])] })).body
    await until(() => existsSync(join(folder, 'second.once')), 'the second hook runs')
    process.kill(worker.pid, 'SIGKILL')
    const heir = await cluster.openWorker()
    await until(() => existsSync(join(folder, 'last.once')), 'the hook after the list runs')
    process.kill(heir.pid, 'SIGKILL')
    t.match(await cluster.finished(api, id), { status: 'succeeded', tasks: [{ status: 'succeeded' }] })
    const log = await cluster.readLog(api, id)
    isWhole(t, log)
    t.same(
      log.map(({ type, data }) => ('stage' in data ? data.name : type)),
      ['execution.queued', 'pre-task-list 1', 'pre-task-list 2', 'task.started', 'task.finished', 'execution.finished'],
    )
    t.same((await readFile(join(folder, 'marks'), 'utf8')).trim().split('\n'), ['first', 'second', 'second', 'last'])
  },
)

void t.test(
  'everything is stopped and started again in mid-list: the order is kept, nothing runs twice',
  { skip },
  async (t) => {
    const cluster = await openCluster(t, {
      env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_LOCK_SECONDS: '6', CC_EXECUTOR_DRAIN_SECONDS: '20' },
    })
    const [api, worker] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    const tasks = Array.from({ length: 12 }, (_none, index) =>
      JSON.stringify([{ tool: `echo ${index} >> starts; sleep 0.3` }, RESULT]),
    )
    const { id } = (await cluster.call(api, 'POST', '/execute', { tasks })).body
    for await (const event of cluster.follow(api, id, 0, 'sse'))
      if (event.type === 'task.started' && 'index' in event.data && event.data.index === 4) break
    for (const child of [worker, api]) child.kill('SIGTERM')
    t.match(await Promise.all([worker.ended, api.ended]), [{ code: 0 }, { code: 0 }])
    const [again] = await Promise.all([cluster.openApi(), cluster.openWorker()])
    await until(async () => (await cluster.get(again, id)).status === 'succeeded', 'the list ends')
    const log = await cluster.readLog(again, id)
    isWhole(t, log)
    t.same(toldOf(log), inOrder(12))
    const { workspace } = await cluster.get(again, id)
    t.same(
      (await readFile(join(cluster.folder, 'data/workspaces', workspace, 'starts'), 'utf8'))
        .trim()
        .split('\n')
        .map(Number),
      Array.from({ length: 12 }, (_none, index) => index),
    )
  },
)

void t.test('five hundred tasks, one after the other', { skip, timeout: 1_200_000 }, async (t) => {
  const cluster = await openCluster(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })
  const [api] = await Promise.all([cluster.openApi(), cluster.openWorker()])
  const tasks = Array.from({ length: 500 }, (_none, index) =>
    JSON.stringify([{ tool: `echo ${index} >> starts` }, RESULT]),
  )
  const { id } = (await cluster.call(api, 'POST', '/execute', { tasks })).body
  await until(async () => (await cluster.get(api, id)).status === 'succeeded', 'the list ends')
  const log = await cluster.readLog(api, id)
  isWhole(t, log)
  t.same(toldOf(log), inOrder(500))
  const { workspace, tasks: listed } = await cluster.get(api, id)
  t.equal(listed?.length, 500)
  t.same(
    (await readFile(join(cluster.folder, 'data/workspaces', workspace, 'starts'), 'utf8'))
      .trim()
      .split('\n')
      .map(Number),
    Array.from({ length: 500 }, (_none, index) => index),
  )
  t.equal((await cluster.call(api, 'DELETE', `/executions/${id}`)).status, 204)
})
