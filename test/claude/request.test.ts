// What is asked of the CLI: command lines and requests. Pure.
import t from 'tap'
import { toRunRequest } from '../../src/claude/command/run-request.js'
import { splitCommandLine } from '../../src/claude/command/split-command-line.js'
import { ExecutorError } from '../../src/protocol/errors.js'
import { ExecuteRequest } from '../../src/protocol/execute-request.js'

/** The code and sentence of the ExecutorError that the function throws. */
function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ExecutorError) return `${error.code}: ${error.details.detail}`
    throw error
  }
  return 'nothing was refused'
}

const parse = (request: ExecuteRequest) => toRunRequest(ExecuteRequest.parse(request))
const fromCommand = (command: string, beside: ExecuteRequest = {}) => parse({ ...beside, command })

void t.test('a command line is split as a POSIX shell splits it', async (t) => {
  const table: [string, string[]][] = [
    ['claude -p "Say hello"', ['claude', '-p', 'Say hello']],
    ["  claude\t-p   'a  b'  \n\n", ['claude', '-p', 'a  b']],
    ["claude -p 'It'\\''s | & ; $HOME `x` \"q\" # !'", ['claude', '-p', 'It\'s | & ; $HOME `x` "q" # !']],
    ['a"b c"d\'e f\'g\\ h', ['ab cde fg h']],
    ['a \'\' "" b', ['a', '', '', 'b']],
    ['"\\$5 \\` \\" \\\\ \\n \\a"', ['$5 ` " \\ \\n \\a']],
    ['"one\\\ntwo" three\\\nfour \\\n five', ['onetwo', 'threefour', 'five']],
    ['costs 5$ "5$" $ "$ 5" "$"', ['costs', '5$', '5$', '$', '$ 5', '$']],
    ['*.ts ~ {a,b} a#b !x [x] a=b %1 ^', ['*.ts', '~', '{a,b}', 'a#b', '!x', '[x]', 'a=b', '%1', '^']],
    ["'line one\nline two'", ['line one\nline two']],
    ['ä\u00a0ö\u2003ü "日本" 🎉\\🎉', ['ä\u00a0ö\u2003ü', '日本', '🎉🎉']],
    ['a\r b', ['a\r', 'b']],
    ['\\\'x\\"', ['\'x"']],
    ['', []],
    [' \n ', []],
  ]
  for (const [text, words] of table) t.same(splitCommandLine(text), words, JSON.stringify(text))
  const long = 'x y '.repeat(1024 * 1024)
  const words = splitCommandLine(`claude '${long}' "${long}"`)
  t.ok(words.length === 3 && words[1] === long && words[2] === long, 'four megabytes are no matter')
})

void t.test('what a shell would act upon is refused with the character and the way to write it', async (t) => {
  const table: [string, RegExp][] = [
    ['claude -p hi; id', /unquoted ;.*at character 13.*single quotes/],
    ['claude -p hi | sh', /unquoted \|/],
    ['claude -p hi && id', /unquoted &/],
    ['claude -p hi &', /unquoted &/],
    ['claude -p hi > /etc/passwd', /unquoted >/],
    ['claude -p hi 2>&1', /unquoted >/],
    ['claude -p < /etc/passwd', /unquoted </],
    ['claude -p (id)', /unquoted \(/],
    ['claude -p a)', /unquoted \)/],
    ['claude -p hi\nid', /line break.*at character 13/],
    ['\nclaude -p hi\n\n rm -rf x', /line break/],
    ['claude -p $(id)', /has \$\(/],
    ['claude -p "$(id)"', /has \$\(.*\\\$/],
    ['claude -p "`id`"', /backtick in double quotes/],
    ['claude -p `id`', /backtick/],
    ['claude -p $HOME', /has \$H/],
    ['claude -p "${HOME}"', /has \$\{/],
    ['claude -p "US$5"', /has \$5/],
    ['claude -p "$$ $? $! $# $* $@ $-"', /has \$\$/],
    ["claude -p $'a\\x41'", /has \$'/],
    ['claude -p $"a"', /has \$"/],
    ['claude -p "$[1+1]"', /has \$\[/],
    ['claude -p $\\\n$', /has \$\$/],
    ['claude -p hi # comment', /unquoted #/],
    ["claude -p it's", /single quote that is never closed.*'\\''/],
    ['claude -p "a', /double quote that is never closed/],
    ['claude -p "a\\"', /double quote that is never closed/],
    ['claude -p a\\', /ends with a backslash/],
  ]
  for (const [text, sentence] of table) {
    t.match(
      refusal(() => splitCommandLine(text)),
      /^COMMAND_NOT_ALLOWED: /,
      JSON.stringify(text),
    )
    t.match(
      refusal(() => splitCommandLine(text)),
      sentence,
      JSON.stringify(text),
    )
  }
})

void t.test('a command and the structured fields give the same run', async (t) => {
  const plain = parse({ prompt: 'Say hello' })
  t.same(plain, {
    prompt: 'Say hello',
    allowedTools: [],
    disallowedTools: [],
    timeoutSeconds: 600,
    projectInstructions: true,
    literalPrompt: true,
    partialText: true,
    onPermissionDenied: 'report',
    onApprovalTimeout: 'deny',
    approvalTimeoutSeconds: 86_400,
    onWorkerLost: 'fail',
    onBudgetExceeded: 'fail',
    budgetTimeoutSeconds: 86_400,
    maxAttempts: 1,
    maxRepairs: 1,
    outputFormat: 'text',
    rawPartials: false,
  })
  for (const command of [
    'claude -p "Say hello"',
    'claude "Say hello" --print',
    "claude --verbose -p -- 'Say hello'",
    "claude -p 'Say hello' --input-format text",
  ]) {
    t.same(fromCommand(command), plain, command)
  }
  const everything = fromCommand(
    'claude -p "do" --model opus --fallback-model=haiku --effort high --system-prompt "- be brief" ' +
      '--append-system-prompt=-x --max-turns 3 --max-budget-usd 0.5' +
      ' --allowedTools "Bash(git commit:*),Read" Edit --disallowed-tools=WebFetch --allowed-tools Bash ' +
      '--permission-mode plan --agents \'{"r":{"description":"d","prompt":"p"}}\'' +
      ' --mcp-config \'{"mcpServers":{"a":{"type":"http","url":"http://x.test/"}}}\' ' +
      '\'{"mcpServers":{"b":{"command":"b"}}}\' --json-schema \'{"type":"object"}\' --output-format ' +
      'stream-json --include-partial-messages',
    { timeout: 7, workspace: 'w', metadata: { a: 'b' }, literalPrompt: false },
  )
  t.same(everything, {
    ...parse({
      prompt: 'do',
      model: 'opus',
      fallbackModel: 'haiku',
      effort: 'high',
      systemPrompt: '- be brief',
      appendSystemPrompt: '-x',
      maxTurns: 3,
      maxBudgetUsd: 0.5,
      allowedTools: ['Bash(git commit:*)', 'Read', 'Edit', 'Bash'],
      disallowedTools: ['WebFetch'],
      permissionMode: 'plan',
      agents: { r: { description: 'd', prompt: 'p' } },
      mcpServers: { a: { type: 'http', url: 'http://x.test/' }, b: { command: 'b' } },
      timeoutSeconds: 7,
      literalPrompt: false,
      outputSchema: { type: 'object' },
    }),
    outputFormat: 'stream-json',
    rawPartials: true,
  })
  t.equal(
    fromCommand('claude -p hi --include-partial-messages').rawPartials,
    false,
    'without stream-json nobody would see them',
  )
  t.equal(
    fromCommand('claude -p hi --dangerously-skip-permissions --permission-mode plan').permissionMode,
    'bypassPermissions',
  )
  t.equal(
    fromCommand('claude -p --model --verbose hi').model,
    '--verbose',
    'a flag takes the next word whatever it looks like, as in the CLI',
  )
  t.equal(fromCommand('claude -p doctor').prompt, 'doctor')
  for (const command of [
    'claude -p hi --resume a-1 --fork-session',
    'claude --fork-session -r a-1 -p hi',
    'claude -p hi --resume=a-1 --fork-session',
  ])
    t.same(fromCommand(command).session, { resume: 'a-1', fork: true }, command)
  t.same(fromCommand('claude -r a-1 -p hi'), parse({ prompt: 'hi', session: { resume: 'a-1' } }))
})

void t.test('a command that is not on the allow-list is refused by name', async (t) => {
  const table: [string, RegExp][] = [
    ['ls -la', /must be claude, not ls/],
    ['/usr/bin/claude -p hi', /must be claude/],
    ['PATH=/tmp claude -p hi', /must be claude/],
    [' ', /must be claude/],
    ['claude', /the prompt is missing/],
    ['claude -p', /the prompt is missing/],
    ["claude -p ''", /the prompt is missing/],
    ['claude -p say hello', /more than one prompt \(2 words\).*quotes/],
    ['claude -p --allowedTools Bash "the prompt"', /the prompt is missing.*before flags/],
    ['claude mcp list', /subcommand/],
    ['claude update', /subcommand/],
    ['claude -p hi --fork-session', /--fork-session needs --resume/],
    ['claude --resume -p hi', /--resume needs the id/],
    ['claude -p hi -r', /-r needs a value/],
    ['claude -p hi --continue', /--continue is not allowed here: .*use --resume/],
    ['claude -c -p hi', /-c is not allowed here: .*use --resume/],
    ['claude -p hi --settings /etc/x.json', /--settings is not allowed/],
    ['claude -p hi --add-dir /', /--add-dir is not allowed here: use the field workspace/],
    ['claude -p hi --session-id=1', /--session-id is not allowed/],
    ['claude -p hi --permission-prompt-tool stdio', /--permission-prompt-tool/],
    ['claude -p hi -c', /-c is not allowed/],
    ['claude -phi', /-phi is not allowed/],
    ['claude -p hi --print=x', /--print takes no value/],
    ['claude -p hi --model', /--model needs a value/],
    ['claude -p hi --constructor', /--constructor is not allowed/],
    ['claude -p hi --max-turns many', /--max-turns must be a number/],
    ['claude -p hi --max-turns 1.5', /--max-turns: /],
    ['claude -p hi --max-budget-usd=-1', /--max-budget-usd: /],
    ['claude -p hi --effort huge', /--effort: /],
    ['claude -p hi --permission-mode root', /--permission-mode: /],
    ['claude -p hi --output-format xml', /--output-format must be/],
    ['claude -p hi --input-format stream-json', /--input-format must be text/],
    ['claude -p hi --mcp-config /etc/mcp.json', /--mcp-config takes the configuration itself/],
    ['claude -p hi --mcp-config \'{"mcpServers":{"a":{"command":"x","evil":1}}}\'', /--mcp-config\.a/],
    ['claude -p hi --mcp-config \'{"mcpServers":[]}\'', /must be an object/],
    ['claude -p hi --mcp-config \'{"__proto__":{}}\'', /the single key mcpServers/],
    ["claude -p hi --agents '[]'", /--agents must be a JSON object/],
    [
      'claude -p hi --agents \'{"r":{"description":"d","prompt":"p","hooks":{}}}\'',
      /--agents\.r\.hooks: unknown field/,
    ],
  ]
  for (const [command, sentence] of table) {
    const said = refusal(() => fromCommand(command))
    t.match(said, /^COMMAND_NOT_ALLOWED: /, command)
    t.match(said, sentence, command)
  }
  t.match(
    refusal(() => fromCommand('claude -p hi --model a', { model: 'b' })),
    /--model is given in the command and as the field model/,
  )
  t.match(
    refusal(() => fromCommand('claude -p hi --dangerously-skip-permissions', { permissionMode: 'plan' })),
    /--dangerously-skip-permissions.*permissionMode/,
  )
  t.match(
    refusal(() => parse({ prompt: 'x', agents: { a: { description: 'd', prompt: 'x'.repeat(130_000) } } })),
    /^PAYLOAD_TOO_LARGE: agents/,
  )
  for (const server of [
    { type: 'http' as const, url: 'http://x.test/${ANTHROPIC_API_KEY}' },
    { type: 'sse' as const, url: 'http://x.test', headers: { a: '${ANTHROPIC_API_KEY}' } },
    { command: 'x', args: ['${X:-y}'] },
  ]) {
    t.match(
      refusal(() => parse({ prompt: 'x', mcpServers: { a: server } })),
      /^INVALID_REQUEST: mcpServers: must not contain \$\{/,
      "no caller's server gets the operator's key",
    )
  }
  const nul = String.fromCodePoint(0)
  t.match(
    refusal(() =>
      parse({ prompt: 'x', mcpServers: { a: { type: 'http', url: 'http://x.test', headers: { h: `a${nul}b` } } } }),
    ),
    /^INVALID_REQUEST: mcpServers: must not contain NUL/,
  )
})
