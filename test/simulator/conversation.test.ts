// Where a conversation stands, read from requests as both ends of the range of versions send them (measured).
import t from 'tap'
import { readConversation } from '../../src/simulator/conversation.js'
import { decodeMessagesRequest } from '../../src/simulator/messages-request.js'

type Message = readonly [
  role: 'user' | 'assistant' | 'system',
  ...blocks: (string | { tool: string } | { result: string })[],
]

function read(messages: readonly Message[]) {
  return readConversation(
    decodeMessagesRequest(
      JSON.stringify({
        model: 'm',
        messages: messages.map(([role, ...blocks]) => ({
          role,
          content: blocks.map((block) => {
            if (typeof block === 'string') return { type: 'text', text: block }
            return 'tool' in block
              ? { type: 'tool_use', id: 't', name: block.tool, input: {} }
              : { type: 'tool_result', tool_use_id: 't', content: block.result }
          }),
        })),
      }),
    ),
  )
}

const PROMPT = '```simulate\n[{"text":"a"}]\n```'
const END = '(end of the task)'
const remind = (text: string) => `<system-reminder>\n${text}\n</system-reminder>`
const EMPTY = '[Your previous response had no visible output. Please continue and produce a user-visible response.]'
const LIMIT = 'Output token limit hit. Resume directly — no apology, no recap of what you were doing.'
const REFUSED = 'Your response above was stopped by a safety classifier — this is not a tool or API error.'
const NOTIFICATION =
  '[SYSTEM NOTIFICATION - NOT USER INPUT]\nThis is an automated background-task event, NOT a message from the user.'

void t.test('the working directory stands in a message of role system', async (t) => {
  const environment: Message = [
    'system',
    '# Environment\nYou have been invoked in the following environment: \n - Primary working ' +
      'directory: /a b\n - Is a git repository: false',
  ]
  t.match(read([['user', remind('Attribution for git commits'), PROMPT, END], environment]), {
    workingDirectory: '/a b',
    prompt: `${PROMPT}\n${END}`,
    promptNumber: 1,
    position: 0,
  })
  const forked: Message = ['system', '# Environment update\n - Primary working directory: /c (was /d) (was /a b)']
  const again: Message = ['system', '# Environment update\n - Primary working directory: /e (was /c (was /d))']
  const one: Message[] = [['user', 'x'], environment, ['assistant', 'y'], ['user', 'x'], forked]
  t.equal(read(one).workingDirectory, '/c (was /d)', 'the session goes on in another folder')
  t.equal(read([...one, ['assistant', 'y'], ['user', 'x'], again]).workingDirectory, '/e')
})

for (const [version, say] of [
  ['2.1.197', (text: string) => text],
  ['2.1.332', remind],
] as const) {
  void t.test(`the own words of ${version} go on with the script`, async (t) => {
    const asked: Message = ['user', PROMPT, END]
    const at = (position: number, messages: readonly Message[], words: string) =>
      t.match(read(messages), { position, promptNumber: 1, prompt: `${PROMPT}\n${END}`.trim() }, words)
    at(1, [['user', PROMPT, END, say(EMPTY)]], 'an empty reply leaves no message of the assistant')
    at(2, [['user', PROMPT, END, say(EMPTY), say(EMPTY)]], 'nor do two')
    at(2, [asked, ['assistant', { tool: 'Bash' }], ['user', { result: 'r' }, say(EMPTY)]], 'an empty reply to a tool')
    at(1, [asked, ['assistant', 'half'], ['user', say(LIMIT)]], 'a reply that was cut at the limit is there')
    at(1, [['user', PROMPT, END, say(LIMIT)]], 'but not one that had only thought until then')
    at(3, [asked, ['assistant', 'half'], ['user', say(LIMIT), say(LIMIT), say(EMPTY)]], 'several in a row')
    at(0, [['user', PROMPT, END, say(REFUSED)]], 'a refusal refuses again')
    at(0, [asked, ['assistant', 'some'], ['user', say(REFUSED)]], 'also one with text')
    at(
      0,
      [asked, ['assistant', 'some'], ['user', say('Your response above was cut off mid-stream. Resume directly')]],
      'a reply that was cut is given again',
    )
    at(
      1,
      [
        asked,
        ['assistant', 'no json'],
        ['user', '[structured-output-enforce] You MUST call the StructuredOutput tool'],
      ],
      'an answer that was no JSON',
    )
    at(
      1,
      [
        asked,
        ['assistant', 'a'],
        ['user', say(version === '2.1.197' ? '<task-notification>\n<task-id>x' : NOTIFICATION)],
      ],
      'a background task has ended',
    )
    at(
      1,
      [
        asked,
        ['assistant', 'a'],
        ['user', say(version === '2.1.197' ? 'Stop hook feedback:\n[x]: y' : 'The text below is the output of a hook')],
      ],
      "a hook's words",
    )
  })
}

void t.test(
  'what a killed, deferred or interrupted prompt leaves behind is neither a reply nor a prompt',
  async (t) => {
    const continued: Message = ['user', '[cc-executor] Go on.', END]
    const call: Message = ['assistant', 'begin', { tool: 'Bash' }]
    const interrupted =
      "[Tool call interrupted: the session ended before this call's result was recorded, so its outcome is unknown.]"
    t.match(
      read([
        ['user', PROMPT, END],
        call,
        ['user', { result: interrupted }],
        ['assistant', 'No response requested.'],
        continued,
      ]),
      { position: 1, promptNumber: 1 },
      '2.1.332, in a tool',
    )
    t.match(
      read([['user', PROMPT, END], ['assistant', 'No response requested.'], continued]),
      { position: 0, promptNumber: 1 },
      '2.1.332, in a text',
    )
    t.match(
      read([
        ['user', PROMPT, `${END}\n`, 'Continue from where you left off.'],
        ['assistant', 'No response requested.'],
        continued,
      ]),
      { position: 0, promptNumber: 1, prompt: `${PROMPT}\n${END}\n` },
      '2.1.197, in a text',
    )
    t.match(
      read([['user', PROMPT, END], call, ['user', { result: 'deferred' }, 'Continue from where you left off.']]),
      { position: 1, lastToolResult: 'deferred' },
      'a call that was deferred',
    )
    t.match(
      read([
        ['user', PROMPT, END],
        ['assistant', 'a'],
        ['user', 'Continue from where you left off.', END],
      ]),
      { position: 0, promptNumber: 2, prompt: `Continue from where you left off.\n${END}` },
      'a person may say it, too',
    )
    t.match(
      read([
        ['user', PROMPT, END],
        ['assistant', 'one two'],
        ['user', '[Request interrupted by user]\n', 'next', END],
      ]),
      { position: 0, promptNumber: 2, prompt: `next\n${END}` },
    )
  },
)
