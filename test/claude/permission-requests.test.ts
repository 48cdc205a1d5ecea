// What the CLI asks people, as it is read, and what it is answered; without a CLI.
import t from 'tap'
import { toApprovedPermissions } from '../../src/claude/command/approved-permissions.js'
import { claudeCommand } from '../../src/claude/command/claude-command.js'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import {
  readPermissionRequest,
  readWithdrawal,
  toPermissionResponse,
  type PermissionRequest,
} from '../../src/claude/stream/permission-requests.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { createSecretMask } from '../../src/platform/secret-mask.js'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'

const ask = (request: Record<string, unknown>): Record<string, unknown> => ({
  type: 'control_request',
  request_id: 'r1',
  request: {
    subtype: 'can_use_tool',
    tool_name: 'Bash',
    tool_use_id: 'call',
    input: { command: 'touch x' },
    ...request,
  },
})
function read(request: Record<string, unknown>): PermissionRequest {
  const found = readPermissionRequest(ask(request))
  if (!found) throw new Error('not read')
  return found
}
const answer = (request: PermissionRequest, given: Parameters<typeof toPermissionResponse>[1]) =>
  (JSON.parse(toPermissionResponse(request, given)) as { response: { response: unknown } }).response.response

void t.test('what is shown is masked and bounded; what the CLI gets back is its own input', async (t) => {
  const secret = 'a-secret-of-the-operator'
  const seen: PermissionRequest[] = []
  const translator = createTranslator({
    partialText: false,
    rawPartials: false,
    mask: createSecretMask([secret]),
    onControl: (message, own) => {
      const request = readPermissionRequest(message, own())
      if (request) seen.push(request)
      return []
    },
  })
  const line = JSON.stringify(ask({ input: { command: `curl -H ${secret}` } }))
  t.same(translator.translate({ kind: 'line', bytes: Buffer.from(line) }), [])
  const [request] = seen
  if (!request) throw new Error('nothing was asked')
  t.same(request.inputShown, { command: 'curl -H [masked]' })
  t.same(answer(request, { decision: 'allow', isForExecution: false }), {
    behavior: 'allow',
    updatedInput: { command: `curl -H ${secret}` },
  })

  const long = read({
    input: { content: 'x'.repeat(300_000), lines: Array.from({ length: 9 }, () => 'y'.repeat(20_000)) },
  })
  t.equal(long.inputTruncated, true)
  t.ok(JSON.stringify(long.inputShown).length <= 65_536)
  t.match(answer(long, { decision: 'allow', isForExecution: false }), { updatedInput: { content: /^x{300000}$/ } })
  let deep: object = {}
  for (let level = 0; level < 200; level += 1) deep = { deep }
  t.match(read({ input: deep }), { isTooDeep: true, inputShown: {} })
})

void t.test(
  'what may be allowed for the execution stays in the session, and is the narrowest that is suggested',
  (t) => {
    const rule = { type: 'addRules', rules: [{ toolName: 'Bash', ruleContent: 'touch x' }], behavior: 'allow' }
    const mode = { type: 'setMode', mode: 'acceptEdits', destination: 'session' }
    const folder = { type: 'addDirectories', directories: ['/outside'], destination: 'session' }
    const both = read({ permission_suggestions: [{ ...rule, destination: 'localSettings' }, folder, mode] })
    t.same(both.suggestions, ['Bash(touch x)'])
    t.match(answer(both, { decision: 'allow', isForExecution: true }), {
      updatedPermissions: [{ ...rule, destination: 'session' }],
    })
    const others = read({ permission_suggestions: [folder, mode, { type: 'setMode', mode: 'bypassPermissions' }] })
    t.same(others.suggestions, ['directory: /outside', 'permissionMode: acceptEdits'])
    t.same(toApprovedPermissions([...both.updates, ...others.updates], 'default'), {
      rules: ['Bash(touch x)'],
      directories: ['/outside'],
      mode: 'acceptEdits',
    })
    t.same(read({}).suggestions, [])
    t.end()
  },
)

void t.test('answers and plans in the CLI’s own form; what it takes back is named', (t) => {
  const questions = [
    { question: 'One?', options: [{ label: 'A' }] },
    { question: 'Two?', options: [], multiSelect: true },
  ]
  const asked = read({ tool_name: 'AskUserQuestion', input: { questions } })
  t.match(asked, { kind: 'question', questions: [{ index: 0 }, { index: 1, multiSelect: true }] })
  const answers = [
    { questionIndex: 0, labels: ['A'], text: 'a note' },
    { questionIndex: 1, labels: ['B', 'C'] },
  ]
  t.same(answer(asked, { decision: 'answer', isForExecution: false, answers }), {
    behavior: 'allow',
    updatedInput: {
      questions,
      answers: { 'One?': 'A', 'Two?': 'B, C' },
      annotations: { 'One?': { notes: 'a note' } },
    },
  })
  t.match(answer(asked, { decision: 'answer', isForExecution: false, message: 'as you like' }), {
    updatedInput: { questions, response: 'as you like' },
  })
  const plan = read({ tool_name: 'ExitPlanMode', input: {} })
  t.match(answer(plan, { decision: 'allow', isForExecution: false, permissionMode: 'manual' }), {
    updatedPermissions: [{ type: 'setMode', mode: 'default', destination: 'session' }],
  })
  t.same(answer(plan, { decision: 'deny', isForExecution: false, message: 'No.' }), {
    behavior: 'deny',
    message: 'No.',
  })
  t.equal(readWithdrawal({ type: 'control_cancel_request', request_id: 'r1' }), 'r1')
  t.equal(
    readPermissionRequest({ type: 'control_request', request_id: 'r2', request: { subtype: 'hook_callback' } }),
    undefined,
  )
  t.end()
})

void t.test('people are asked by a flag, and never in a run that was launched to bypass and may plan', (t) => {
  const argv = (request: Partial<ExecuteRequest>, more: object = {}): string =>
    claudeCommand(toRunRequest({ prompt: 'x', ...request }), {
      binary: 'claude',
      sessionId: 's',
      workspace: '/w',
      home: '/h',
      tmpDir: '/t',
      input: '/i',
      credentials: { method: 'simulated', variables: {}, source: '' } as never,
      env: {},
      childEnv: [],
      defaultPermissionMode: 'acceptEdits',
      extraAllowedTools: [],
      trustWorkspaces: false,
      asRoot: false,
      knowsPromptSnapshot: true,
      ...more,
    }).args.join(' ')
  const ASKS = '--permission-prompt-tool=stdio'
  t.notMatch(argv({}), ASKS)
  t.match(argv({ onPermissionNeeded: 'ask' }), ASKS)
  t.match(argv({}, { defaultOnPermissionNeeded: 'ask' }), ASKS)
  t.notMatch(argv({ onPermissionNeeded: 'deny' }, { defaultOnPermissionNeeded: 'ask' }), ASKS)
  t.notMatch(argv({ permissionMode: 'dontAsk' }, { defaultOnPermissionNeeded: 'ask' }), ASKS)
  const bypass = argv({ permissionMode: 'bypassPermissions', onPermissionNeeded: 'ask' })
  t.match(bypass, `${ASKS} --disallowedTools=EnterPlanMode`)
  const later = argv(
    { permissionMode: 'plan', onPermissionNeeded: 'ask' },
    { approved: { rules: ['Bash(x)'], directories: ['/outside'], mode: 'acceptEdits' } },
  )
  t.match(later, /--permission-mode=acceptEdits.*--allowedTools=Bash\(x\) --add-dir=\/outside/)
  t.end()
})
