// maxBudgetTokens: what is there to save decides what follows when it is crossed.
import t from 'tap'
import { createObservation, observeResult } from '../../src/claude/stream/observation.js'
import { TokenLimit } from '../../src/executions/run/token-limit.js'

const ENDED = { code: 'BUDGET_EXCEEDED', status: 'failed', message: /100 tokens/ }

void t.test('a reply that is being written may end; another one, a tool call or a subagent may not begin', (t) => {
  const observation = createObservation()
  const limit = new TokenLimit(100, observation)
  t.equal(limit.check(100, false), undefined)
  const reply = { id: 'm1', isOpen: true, stopReason: '' }
  observation.reply = reply
  t.equal(limit.check(101, false), undefined, 'its input is paid for')
  reply.isOpen = false
  reply.stopReason = 'end_turn'
  t.equal(limit.check(120, false), undefined, 'its result comes at once')
  observeResult(observation, { subtype: 'success', is_error: false, result: 'x' }, '{}')
  t.equal(limit.check(130, true), undefined, 'it was the answer')
  t.match(limit.note, /whole.*100 tokens/)
  observeResult(observation, { subtype: 'success', is_error: false, result: 'x' }, '{}')
  observation.stopReason = 'max_tokens'
  t.match(limit.note, /100 tokens/)
  t.notMatch(limit.note, /whole/, 'an answer that was cut off')
  t.match(limit.check(130, false), ENDED, 'something else is asked, or works on')
  observation.reply = { id: 'm2', isOpen: true }
  t.match(limit.check(140, false), ENDED, 'and no further reply')
  t.end()
})

void t.test('a call of a tool, or a subagent beside it, ends the run', (t) => {
  const observation = createObservation()
  observation.reply = { id: 'm1', isOpen: false, stopReason: 'tool_use' }
  const limit = new TokenLimit(100, observation)
  t.match(limit.check(101, false), ENDED)
  t.equal(limit.hasAnswered, false)
  observeResult(observation, { subtype: 'error_during_execution', is_error: true }, '{}')
  t.equal(limit.hasAnswered, false)
  t.equal(limit.note, undefined)
  observeResult(observation, { subtype: 'success', is_error: false, result: 'x' }, '{}')
  t.equal(limit.hasAnswered, true, 'the answer was ready before the CLI was told')
  t.end()
})
