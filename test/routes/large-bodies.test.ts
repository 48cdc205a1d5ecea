// Large bodies take turns, and nobody who goes keeps the others waiting.
import { PassThrough } from 'node:stream'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { createTurns } from '../../plugins/large-bodies.js'

/** What the turns look at of an answer. */
const toReply = (raw: PassThrough): FastifyReply => ({ raw }) as unknown as FastifyReply

void t.test('one is dealt with at a time, in their order; who has gone takes no turn', async (t) => {
  const take = createTurns()
  const answers = Array.from({ length: 4 }, () => new PassThrough())
  const order: number[] = []
  const taken = answers.map((raw, index) => take(toReply(raw)).then(() => order.push(index)))
  await taken[0]
  await new Promise(setImmediate)
  t.same(order, [0], 'the others wait')
  answers[1]?.destroy()
  await new Promise(setImmediate)
  answers[0]?.destroy()
  await taken[2]
  t.same(order, [0, 1, 2], 'the second one had gone')
  await new Promise(setImmediate)
  t.same(order, [0, 1, 2])
  answers[2]?.destroy()
  await taken[3]
  answers[3]?.destroy()
  await take(undefined)
})
