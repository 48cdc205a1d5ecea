// However many calls one connection sends, those of another one do not wait for them.
import t from 'tap'
import { findCrowded } from '../../src/protocol/crowded.js'
import { CallTurns } from '../../src/rpc/call-turns.js'
import { openRpc, request } from './harness.js'
import { turns } from '../support/deadlines.js'

const FLOOD = 400
/** What is answered while another one's call is read and carried out: some times the eight in work; else the flood. */
const BETWEEN = 100

void t.test('connections take turns, one call each', async (t) => {
  const calls = new CallTurns()
  const order: string[] = []
  const start = (name: string, count: number) => () => {
    order.push(name)
    count -= 1
    return count > 0
  }
  calls.ask(start('a', 4))
  const leaver = start('never', 1)
  calls.ask(leaver)
  calls.ask(start('b', 2))
  calls.withdraw(leaver)
  t.same(order, [], 'what else there is to do comes first')
  await turns(() => order.length >= 6, 'each has had its turns')
  t.same(order, ['a', 'b', 'a', 'b', 'a', 'a'])
})

void t.test('what is nested as deeply as it may have members is looked at in one go', (t) => {
  let deep: object = { last: Object.fromEntries(Array.from({ length: 5_001 }, (_, index) => [`m${index}`, index])) }
  for (let depth = 0; depth < 40_000; depth += 1) deep = [deep]
  const before = process.cpuUsage()
  const crowded = findCrowded(deep)
  const took = process.cpuUsage(before).user / 1_000
  t.equal(crowded?.path.length, 40_001, 'the path of what is crowded')
  t.equal(crowded?.path.at(-1), 'last')
  t.ok(took < 15_000, `${took} ms; with a path for each level it was a minute`)
  t.end()
})

void t.test('a flood of calls, or a batch of them, delays no other connection', async (t) => {
  const harness = await openRpc(t)
  for (let count = 0; count < 20; count += 1) await harness.submit()
  const [busy, other] = [await harness.connect(), await harness.connect()]
  for (let id = 0; id < FLOOD; id += 1) busy.send(request(id, 'execution.list'))
  let most = 0
  for (let round = 0; round < 5; round += 1) {
    const before = busy.inbox.length
    await other.call('execution.list')
    most = Math.max(most, busy.inbox.length - before)
  }
  t.ok(most <= BETWEEN, `${most} answers of the flood came before the other's`)
  t.ok(busy.inbox.length < FLOOD, 'while it went on')
  await busy.take(FLOOD)

  busy.send(Array.from({ length: FLOOD }, (_, id) => request(id, 'execution.list')))
  for (let round = 0; round < 5; round += 1) await other.call('execution.list')
  t.equal(busy.inbox.length, 0, 'all five are answered before the batch is done')
  t.equal(((await busy.next()) as unknown as object[]).length, FLOOD)

  // What is answered without waiting for anybody is not done in one go either.
  busy.send(Array.from({ length: 1_000 }, (_, id) => request(id, 'no.such.method')))
  for (let round = 0; round < 3; round += 1) {
    other.send(request(round, 'no.such.method'))
    await other.next()
  }
  t.equal(busy.inbox.length, 0, 'the other one had its turns')
  t.equal(((await busy.next()) as unknown as object[]).length, 1_000)
})
