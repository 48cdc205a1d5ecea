// Turns between tokens with real workers: one token's many executions, beside another's single one and a third's list.
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import { SCRIPTED_CLI } from '../support/paths.js'
import { openTestService } from '../support/service.js'
import { openWaiters } from '../support/waiters.js'

const MANY = process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? 10_000 : 40
const TOKENS = { many: 'many-0123456789abcdef', pair: 'pair-0123456789abcdef', single: 'single-0123456789abcdef' }
type Name = keyof typeof TOKENS

const service = await openTestService(t, {
  workers: 0,
  env: {
    CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI,
    CC_EXECUTOR_CONCURRENCY: '1',
    CC_EXECUTOR_TOKENS: Object.entries(TOKENS)
      .map(([name, token]) => `${name}=${token}`)
      .join(),
    CC_EXECUTOR_MAX_QUEUE: String(MANY + 100),
  },
})
const callAs =
  (name: Name) =>
  (method: string, path: string, options: { body?: unknown; api?: number } = {}): ReturnType<typeof service.call> =>
    service.call(method, path, { ...options, headers: { authorization: `Bearer ${TOKENS[name]}` } })
const RESULT = {
  line: { type: 'result', subtype: 'success', is_error: false, result: 'done', usage: {}, num_turns: 1 },
}
const marks = join(service.directory, 'marks')
appendFileSync(marks, '')
/** A line for each CLI that was started. */
const countStarts = (): number => readFileSync(marks, 'utf8').split('\n').length - 1
const prompt = JSON.stringify([{ mark: marks }, { line: { type: 'system', subtype: 'init', session_id: 's' } }, RESULT])
const submit = async (name: Name, body: object = { prompt }): Promise<Execution> =>
  (await callAs(name)('POST', '/execute', { body })).body
const startOf = ({ startedAt = '' }: Execution): number => Date.parse(startedAt)

void t.test('one with many waiting delays others by one run at most, and places tell what comes', async (t) => {
  const [head] = [await submit('many')]
  let left = MANY - 1
  const fill = async (): Promise<void> => {
    for (; left > 0; await submit('many')) left -= 1
  }
  await Promise.all(Array.from({ length: 16 }, fill))
  const list = await submit('pair', { tasks: [prompt, prompt] })
  const single = await submit('single')
  const [first] = (await callAs('pair')('GET', `/executions?parentId=${list.id}`)).body.executions
  t.match([head, first, single], [{ position: 1 }, { position: 2 }, { position: 3 }], 'each token in turn')
  t.equal((await callAs('many')('GET', '/queue')).body.depth, MANY + 2)

  await service.openWorker()
  const ends = { single: openWaiters(callAs('single')), pair: openWaiters(callAs('pair')) }
  const [one, all] = await Promise.all([ends.single.finished(single.id), ends.pair.finished(list.id)])
  t.match([one.status, all.status], ['succeeded', 'succeeded'])
  const many: number[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const query = `status=running,succeeded&limit=200${cursor && `&cursor=${cursor}`}`
    const { body } = await callAs('many')('GET', `/executions?${query}`)
    many.push(...body.executions.map(startOf))
    cursor = body.nextCursor
  }
  const tasks: Execution[] = (await callAs('pair')('GET', `/executions?parentId=${list.id}`)).body.executions
  const starts = tasks.toSorted((a, b) => (a.taskIndex ?? 0) - (b.taskIndex ?? 0)).map(startOf)
  const between = (from: number, to: number): number => many.filter((time) => time > from && time < to).length
  t.ok(between(0, startOf(one)) <= 1, 'the single one has waited for one')
  t.ok(between(0, starts[0] ?? 0) <= 1, 'the list too')
  const [begun = 0, next = 0] = starts
  t.ok(begun < next, 'its tasks come in their order')
  t.ok(between(begun, next) <= 2, 'the next after one run of another, or two where it came late')
})

void t.test('with several slots it is one run a slot', async (t) => {
  await service.openWorker({ CC_EXECUTOR_CONCURRENCY: '2' })
  const before = countStarts()
  const late = await submit('single')
  await openWaiters(callAs('single')).until(late.id, 'execution.started')
  // As many were claimed at that moment and had not begun yet.
  t.ok(countStarts() - before <= 2 * 3 + 1, `${countStarts() - before} were started`)
})
