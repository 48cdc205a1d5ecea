// Whether a call can be left in its session, by what else the stream has shown of its reply; that the CLI keeps it then
// is the matter of approval-parking.test.ts.
import t from 'tap'
import { createObservation } from '../../src/claude/stream/observation.js'
import type { PermissionRequest } from '../../src/claude/stream/permission-requests.js'
import { AttemptStop } from '../../src/executions/run/attempt-stop.js'
import { CallParking } from '../../src/executions/run/call-parking.js'

const input = { command: 'true' }
const request: PermissionRequest = {
  requestId: 'request',
  kind: 'tool',
  toolUseId: 'own',
  tool: 'Bash',
  isOfSubagent: false,
  input,
  inputShown: input,
  inputTruncated: undefined,
  isTooDeep: false,
  ownInput: input,
  reason: undefined,
  updates: [],
  suggestions: [],
  questions: undefined,
}
const SEVERAL = /^Other calls of the same reply are open/

function whyHeld(unanswered: readonly string[], denied: readonly string[], openQuestions = 1): string | undefined {
  const observation = createObservation()
  observation.unansweredCalls = unanswered.map((id) => ({ id, description: id }))
  const child = { stdin: process.stdout }
  const parking = new CallParking({
    child,
    observation,
    stop: new AttemptStop(
      () => false,
      () => undefined,
    ),
    canKeep: true,
    isPaused: () => false,
  })
  return parking.whyHeld(request, openQuestions, new Set(denied))
}

void t.test('a single call can be left; others of its reply keep it', async (t) => {
  t.equal(whyHeld(['own'], []), undefined)
  t.match(whyHeld(['one', 'own'], []), SEVERAL)
  t.match(whyHeld(['own'], [], 2), SEVERAL, 'another one is asked about')
})

void t.test('the result of a denied call comes at once, and holds no slot meanwhile', async (t) => {
  t.equal(whyHeld(['one', 'own'], ['one']), 'later')
  t.equal(whyHeld(['one', 'two', 'own'], ['two', 'one']), 'later')
  t.match(whyHeld(['one', 'two', 'own'], ['one']), SEVERAL)
  t.match(whyHeld(['own', 'two'], ['two']), SEVERAL, 'that of one behind it comes after its own')
  t.match(whyHeld(['one', 'own'], ['one'], 2), SEVERAL)
})
