// What is said to the CLI: command lines in, argv and environment out. Pure, apart from credentials and look-up.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { claudeCommand, type ClaudeSettings } from '../../src/claude/command/claude-command.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { behaviourOf, isMeasured } from '../../src/claude/behaviour.js'
import {
  describeTooOld,
  describeVersion,
  isTestedVersion,
  isTooOld,
  readVersionRefusal,
  TESTED_VERSIONS,
} from '../../src/claude/supported-versions.js'
import { explainMissing, findClaude, probeClaude } from '../../src/claude/install/find-claude.js'
import { toRunRequest, type RunRequest } from '../../src/claude/command/run-request.js'
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

function command(run: Partial<RunRequest> = {}, settings: Partial<ClaudeSettings> = {}) {
  const credentials = findCredentials({ ANTHROPIC_API_KEY: 'sk-key', HOME: '/nowhere' }, { simulated: false })
  return claudeCommand(
    { ...toRunRequest({ prompt: '/secret prompt' }), ...run },
    {
      binary: '/opt/claude',
      sessionId: 'id-1',
      workspace: '/w',
      home: '/data/home',
      tmpDir: '/data/tmp',
      input: '/input',
      credentials,
      env: {},
      childEnv: [],
      defaultPermissionMode: 'acceptEdits',
      extraAllowedTools: [],
      trustWorkspaces: false,
      asRoot: false,
      knowsPromptSnapshot: false,
      ...settings,
    },
  )
}

void t.test('the argument list is the one of the design, with every value behind an equals sign', async (t) => {
  const plain = command()
  t.same(plain.args, [
    '-p',
    '--input-format=stream-json',
    '--output-format=stream-json',
    '--verbose',
    '--replay-user-messages',
    '--include-partial-messages',
    '--session-id=id-1',
    '--permission-mode=acceptEdits',
    '--setting-sources=',
    '--strict-mcp-config',
  ])
  t.same(JSON.parse(plain.firstLine), {
    type: 'user',
    message: {
      role: 'user',
      content: [
        { type: 'text', text: '/secret prompt' },
        { type: 'text', text: '(end of the task)' },
      ],
    },
  })
  t.equal(plain.firstLine.indexOf('\n'), plain.firstLine.length - 1, 'one line')
  t.same(JSON.parse(command({ literalPrompt: false }).firstLine).message.content, [
    { type: 'text', text: '/secret prompt' },
  ])
  t.notOk(JSON.stringify([plain.args, plain.argv, plain.env]).includes('secret prompt'))

  const mcpServers = {
    web: { type: 'http' as const, url: 'http://x.test/', headers: { authorization: 'HIDDEN-5 $HOME', empty: '' } },
    tool: { command: 'x', args: ['--plain'], env: { TOKEN: 'HIDDEN-6' } },
  }
  const full = command(
    {
      model: '-m',
      maxBudgetUsd: 0.0000005,
      maxTurns: 3,
      systemPrompt: 'HIDDEN-1',
      appendSystemPrompt: 'HIDDEN-2',
      agents: { reviewer: { description: 'HIDDEN-3', prompt: 'HIDDEN-4' } },
      mcpServers,
      allowedTools: ['Bash(git commit:*)', 'Read'],
      disallowedTools: ['WebFetch'],
      partialText: false,
    },
    { resume: 'id-1', trustWorkspaces: true, extraAllowedTools: ['Edit'] },
  )
  for (const flag of [
    '--resume=id-1',
    '--model=-m',
    '--max-budget-usd=0.0000005',
    '--max-turns=3',
    '--allowedTools=Edit',
    '--allowedTools=Bash(git commit:*)',
    '--allowedTools=Read',
    '--disallowedTools=WebFetch',
    '--system-prompt-file=/input/system-prompt',
    '--append-system-prompt-file=/input/appended-prompt',
    '--mcp-config=/input/mcp.json',
  ])
    t.ok(full.args.includes(flag), flag)
  for (const flag of ['--include-partial-messages', '--strict-mcp-config', '--setting-sources='])
    t.notOk(full.args.includes(flag), flag)
  t.notMatch(full.argv.join('\n'), /HIDDEN|\/opt\/claude/, 'the log shows no prompt, no definition and no host path')
  t.match(full.argv.join('\n'), /--mcp-config=<web, tool>\n--agents=<reviewer>/)

  t.same(
    command({}, { sessionId: 'id-2', resume: 'id-1' }).args.slice(6, 9),
    ['--resume=id-1', '--fork-session', '--session-id=id-2'],
    'another session to resume is forked',
  )

  t.notMatch([full.args, full.env], /HIDDEN/, 'nor do the command line and the environment')
  const files = Object.fromEntries(full.files.map(({ name, content }) => [name, content]))
  t.same(
    { ...files, 'mcp.json': JSON.parse(files['mcp.json'] ?? '') },
    {
      'shell-start': 'exec </dev/null\n',
      'system-prompt': 'HIDDEN-1',
      'appended-prompt': 'HIDDEN-2',
      'mcp.json': { mcpServers },
    },
  )
  t.same(JSON.parse(full.setUpLine ?? '').request, {
    subtype: 'initialize',
    agents: { reviewer: { description: 'HIDDEN-3', prompt: 'HIDDEN-4' } },
  })
})

void t.test('a run sees an allow-listed environment and at most one credential', async (t) => {
  const env = {
    PATH: '/bin',
    LANG: 'C',
    LC_ALL: 'C',
    HOME: '/root',
    REDIS_URL: 'redis://s',
    CC_EXECUTOR_TOKENS: 's',
    DATABASE_URL: 's',
    GITHUB_TOKEN: 'g',
    AWS_SECRET_ACCESS_KEY: 'aws',
    GOOGLE_CLOUD_PROJECT: 'p',
    ANTHROPIC_API_KEY: 'sk-key',
    ANTHROPIC_AUTH_TOKEN: '',
    CLAUDE_CODE_OAUTH_TOKEN: 'oauth',
    ANTHROPIC_MODEL: 'm',
    ANTHROPIC_CUSTOM_HEADERS: 'x-key: s',
    ANTHROPIC_BASE_URL: 'http://gateway',
    CLAUDE_CONFIG_DIR: '/operator',
    CLAUDE_CODE_SSE_PORT: '1',
    CLAUDE_CODE_MESSAGING_TOKEN: 't',
    CLAUDE_CODE_BRAND_NEW: '1',
    CLAUDE_EFFORT: 'low',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDECODE: '1',
    HTTPS_PROXY: 'http://p',
    NO_PROXY: 'x.test',
    NODE_OPTIONS: '--inspect',
    LD_PRELOAD: '/x.so',
  }
  // The timeout and a day, for which a run may be paused.
  const ceiling = { CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS: String((600 + 86_400) * 1_000) }
  const withKey = command(
    {},
    {
      env,
      credentials: findCredentials(env, { simulated: false }),
      childEnv: [
        'GITHUB_TOKEN',
        'REDIS_URL',
        'CC_EXECUTOR_TOKENS',
        'CLAUDE_CODE_OAUTH_TOKEN',
        'CLAUDE_CODE_MESSAGING_TOKEN',
      ],
    },
  ).env
  t.same(withKey, {
    CLAUDE_ENV_FILE: '/input/shell-start',
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    PATH: '/bin',
    LANG: 'C',
    LC_ALL: 'C',
    HOME: '/data/home',
    CLAUDE_CODE_TMPDIR: '/data/tmp',
    ...ceiling,
    CLAUDE_CODE_MAX_RETRIES: '2',
    GITHUB_TOKEN: 'g',
    ANTHROPIC_API_KEY: 'sk-key',
    ANTHROPIC_MODEL: 'm',
    ANTHROPIC_CUSTOM_HEADERS: 'x-key: s',
    ANTHROPIC_BASE_URL: 'http://gateway',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    HTTPS_PROXY: 'http://p',
    NO_PROXY: 'x.test',
  })
  const simulated = command(
    {},
    {
      env,
      credentials: findCredentials(env, { simulated: true }),
      simulatorUrl: 'http://127.0.0.1:9',
      childEnv: ['ANTHROPIC_AUTH_TOKEN', 'AWS_SECRET_ACCESS_KEY'],
    },
  ).env
  t.same(simulated, {
    CLAUDE_ENV_FILE: '/input/shell-start',
    CLAUDE_CODE_STARTUP_FAILURE_RESULTS: '1',
    PATH: '/bin',
    LANG: 'C',
    LC_ALL: 'C',
    HOME: '/data/home',
    CLAUDE_CODE_TMPDIR: '/data/tmp',
    ...ceiling,
    CLAUDE_CODE_MAX_RETRIES: '2',
    ANTHROPIC_API_KEY: 'simulated',
    ANTHROPIC_MODEL: 'm',
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    HTTPS_PROXY: 'http://p',
    NO_PROXY: 'x.test,127.0.0.1,localhost',
    no_proxy: 'x.test,127.0.0.1,localhost',
  })
  t.equal(
    command({}, { env: { CLAUDE_CODE_MAX_RETRIES: '5' } }).env['CLAUDE_CODE_MAX_RETRIES'],
    '5',
    "the operator's own value wins",
  )
  t.match(command().env['PATH'], /\/usr\/bin/, 'a PATH there must be')
  t.ok(
    command({ permissionMode: 'manual' }).args.includes('--permission-mode=default'),
    'the older CLI does not know the other name',
  )
  t.ok(command({ permissionMode: 'auto' }).args.includes('--permission-mode=auto'))
  t.equal(command({ permissionMode: 'bypassPermissions' }, { asRoot: true }).env['IS_SANDBOX'], '1')
  t.equal(command({}, { asRoot: true, env: { IS_SANDBOX: '1' } }).env['IS_SANDBOX'], undefined)
  const bedrock = { CLAUDE_CODE_USE_BEDROCK: '1', AWS_REGION: 'eu', ANTHROPIC_API_KEY: 'sk', GOOGLE_X: 'g' }
  t.match(command({}, { env: bedrock, credentials: findCredentials(bedrock, { simulated: false }) }).env, {
    AWS_REGION: 'eu',
    ANTHROPIC_API_KEY: undefined,
    GOOGLE_X: undefined,
  })
})

const find = (env: NodeJS.ProcessEnv) =>
  findCredentials({ HOME: '/nowhere', ...env }, { simulated: false, now: 10, platform: 'linux' })

void t.test('credentials are found in the order of the CLI and named without their values', async (t) => {
  const home = t.testdir({
    '.claude': {
      '.credentials.json': JSON.stringify({
        claudeAiOauth: { accessToken: 'SECRET', refreshToken: 'SECRET', expiresAt: 1, subscriptionType: 'max' },
      }),
    },
  })
  const login = find({ HOME: home })
  t.match(login, {
    method: 'login',
    billed: false,
    configDir: join(home, '.claude'),
    source: join(home, '.claude', '.credentials.json'),
    message: /plan: max/,
    warnings: [],
  })
  t.equal(command({}, { credentials: login }).env['CLAUDE_CONFIG_DIR'], undefined, 'a run has one of its own')
  t.match(find({ HOME: home, ANTHROPIC_API_KEY: 'SECRET' }), {
    method: 'api_key',
    billed: true,
    message: /billed per token; it outranks the login in .*Unset it/,
    configDir: undefined,
  })
  t.match(
    find({ HOME: home, ANTHROPIC_API_KEY: '', CLAUDE_CODE_OAUTH_TOKEN: '' }),
    { method: 'login' },
    'empty is unset',
  )
  t.match(find({ HOME: home, CLAUDE_CODE_OAUTH_TOKEN: 'SECRET' }), { method: 'oauth_token', billed: false })
  t.match(find({ ANTHROPIC_AUTH_TOKEN: 'SECRET', CLAUDE_CODE_OAUTH_TOKEN: 'SECRET' }), { method: 'auth_token' })
  t.match(find({ ANTHROPIC_API_KEY: 'SECRET', ANTHROPIC_AUTH_TOKEN: 'SECRET' }), {
    method: 'api_key',
    warnings: [/both set/],
  })
  t.match(find({ CLAUDE_CODE_USE_BEDROCK: '1', ANTHROPIC_API_KEY: 'SECRET' }), {
    method: 'bedrock',
    warnings: [/AWS_/],
  })
  t.match(find({ CLAUDE_CODE_USE_VERTEX: 'true' }), { method: 'vertex' })
  t.match(find({ CLAUDE_CODE_USE_FOUNDRY: '1', CLAUDE_CODE_USE_BEDROCK: '0' }), { method: 'foundry' })
  t.match(find({}), { method: 'none', remedy: /setup-token/ })
  t.match(findCredentials({ HOME: '/nowhere' }, { simulated: false, platform: 'darwin' }), {
    method: 'none',
    message: /keychain/,
    remedy: /claude setup-token/,
  })
  t.match(findCredentials({ ANTHROPIC_API_KEY: 'SECRET' }, { simulated: true }), { method: 'simulated' })
  for (const [content, message] of [
    ['{', /no access token/],
    ['{"claudeAiOauth":{"accessToken":""}}', /no access token/],
    ['{"claudeAiOauth":{"accessToken":"SECRET","expiresAt":1}}', /expired/],
    ['null', /no access token/],
  ] as const) {
    await writeFile(join(home, '.claude', '.credentials.json'), content)
    t.match(find({ CLAUDE_CONFIG_DIR: join(home, '.claude') }), { method: 'none', message, remedy: /./ }, content)
  }
  t.notMatch(JSON.stringify([login, find({ HOME: home, ANTHROPIC_API_KEY: 'SECRET' })]), 'SECRET')
})

void t.test(
  'instructions stand before the request’s own prompt, a default model where nobody has chosen',
  async (t) => {
    const appended = (settings: object) =>
      command({ appendSystemPrompt: 'mine' }, settings).files.find(({ name }) => name === 'appended-prompt')?.content
    t.equal(appended({ instructions: 'words of the project' }), 'words of the project\n\nmine')
    t.equal(appended({}), 'mine')

    const models = (request: object, env: NodeJS.ProcessEnv) =>
      command(request, { defaultModel: 'default', env }).args.filter((argument) => argument.startsWith('--model'))
    t.same(models({}, {}), ['--model=default'])
    t.same(models({ model: 'mine' }, {}), ['--model=mine'])
    t.same(models({}, { ANTHROPIC_MODEL: 'operator' }), [])
    t.same(models({}, { ANTHROPIC_DEFAULT_OPUS_MODEL: 'operator' }), [])

    const trusted = (projectInstructions: boolean) =>
      command({ projectInstructions }, { trustWorkspaces: true }).env['CLAUDE_CODE_DISABLE_CLAUDE_MDS']
    t.equal(trusted(false), '1')
    t.equal(trusted(true), undefined)
  },
)

void t.test('the CLI is found where the operator says, on PATH, then in the cache', async (t) => {
  const root = t.testdir({
    a: { claude: 'not executable' },
    b: { claude: '#!/bin/sh\necho "2.1.197 (Claude Code)"' },
    cache: '#!/bin/sh\necho no such library >&2; exit 1',
    other: '#!/bin/sh\necho 1.0',
    slow: '#!/bin/sh\nexec sleep 60',
  })
  await chmod(join(root, 'a/claude'), 0o644)
  for (const file of ['b/claude', 'cache', 'other', 'slow']) await chmod(join(root, file), 0o755)
  await mkdir(join(root, 'c', 'claude'), { recursive: true })
  const cacheBin = join(root, 'cache')
  const path = `::relative:${join(root, 'missing')}:${join(root, 'a')}:${join(root, 'c')}:${join(root, 'b')}`
  t.equal(await findClaude({ path, cacheBin }), join(root, 'b/claude'))
  t.equal(await findClaude({ path: join(root, 'a'), cacheBin }), cacheBin)
  t.equal(await findClaude({ path: '', cacheBin: join(root, 'none') }), undefined)
  t.equal(
    await findClaude({ explicit: join(root, 'none'), path, cacheBin }),
    undefined,
    'what the operator names is not replaced',
  )
  t.equal(await findClaude({ explicit: 'claude', path, cacheBin }), join(root, 'b/claude'))

  t.match(await explainMissing({ explicit: join(root, 'none') }), /CC_EXECUTOR_CLAUDE_BIN \(.*none\) leads nowhere$/)
  t.match(await explainMissing({ explicit: join(root, 'a/claude') }), /is not executable$/)

  t.same(await probeClaude(join(root, 'b/claude'), process.env), { version: '2.1.197' })
  t.same(await probeClaude(cacheBin, process.env), { problem: '--version failed with exit code 1: no such library' })
  t.same(
    await probeClaude(join(root, 'other'), process.env),
    { problem: 'it is not a Claude CLI: --version printed: 1.0' },
    'another program',
  )
  t.same(await probeClaude(join(root, 'none'), process.env), { problem: 'it could not be started (ENOENT)' })
  t.same(await probeClaude(join(root, 'a/claude'), process.env), { problem: 'it could not be started (EACCES)' })
  t.same(await probeClaude(join(root, 'slow'), process.env, 300), { problem: '--version did not answer within 0.3 s' })
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = join(root, 'nowhere')
  t.same(
    await probeClaude(join(root, 'b/claude'), process.env),
    { problem: 'its version could not be read (ENOENT)' },
    'no room for its folder is no end of asking',
  )
  if (TMPDIR === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = TMPDIR
  t.notOk(
    process.getActiveResourcesInfo().includes('Timeout'),
    'what could not be started leaves no timer that keeps the process',
  )
})

void t.test(
  'the range of versions: both ends are in it, older is refused, newer is fine and called newer',
  async (t) => {
    for (const version of ['2.1.197', '2.1.200', '2.1.332']) t.ok(isTestedVersion(version), version)
    for (const version of ['2.1.333', '2.1.1000', '2.2.0', '3.0.0'])
      t.match([isTestedVersion(version), isTooOld(version)], [false, false], version)
    for (const version of ['2.1.196', '2.1.20', '2.0.999', '1.9.9'])
      t.match([isTestedVersion(version), isTooOld(version)], [false, true], version)
    t.equal(describeVersion('2.1.332', 'm'), 'Claude CLI 2.1.332, default model m')
    t.equal(
      describeVersion('2.1.400', undefined),
      'Claude CLI 2.1.400 (newer than the tested 2.1.197 to 2.1.332, which is fine)',
    )
    t.match(
      describeTooOld('2.1.100', '/c'),
      /^CLAUDE_TOO_OLD: .*2\.1\.100 \(\/c\) is older than 2\.1\.197.*npm run setup -- --claude=latest/,
    )
    t.equal(
      (await readFile('src/setup/cache.mjs', 'utf8')).match(/CLAUDE_VERSION = '(.+)'/)?.[1],
      TESTED_VERSIONS.to,
      'what set-up fetches is the newest that is tested',
    )
    t.equal(
      (await readFile('src/setup/cache.mjs', 'utf8')).match(/OLDEST_CLAUDE_VERSION = '(.+)'/)?.[1],
      TESTED_VERSIONS.from,
    )
  },
)

void t.test('how a version behaves: as the newest that was measured and is not newer than it', async (t) => {
  t.match(behaviourOf('2.1.197'), { knowsPromptSnapshot: false, costAfterResume: 'own' })
  t.same(
    behaviourOf('2.1.202'),
    { knowsPromptSnapshot: false, costAfterResume: 'own', tellsBackgroundTasks: false },
    'and no default model, which each has of its own',
  )
  t.same(behaviourOf('2.1.256'), { knowsPromptSnapshot: false, costAfterResume: 'own', tellsBackgroundTasks: true })
  t.same(behaviourOf('2.1.276'), { knowsPromptSnapshot: true, costAfterResume: 'own', tellsBackgroundTasks: true })
  t.same(behaviourOf('2.1.331'), {
    knowsPromptSnapshot: true,
    costAfterResume: 'conversation',
    tellsBackgroundTasks: true,
  })
  t.match(behaviourOf('2.1.332'), { knowsPromptSnapshot: true, costAfterResume: 'conversation', defaultModel: /./ })
  t.match(behaviourOf('2.1.400'), { knowsPromptSnapshot: true, costAfterResume: 'conversation' })
  t.match(behaviourOf(undefined), { knowsPromptSnapshot: true })
  t.same(['2.1.197', '2.1.332', '2.1.331', '2.1.400'].map(isMeasured), [true, true, false, false])
})

void t.test('a refusal for the age of the CLI is told by the words of the API', async (t) => {
  const said =
    'API Error: 400 Claude Code 2.1.259 does not support this model; version 2.1.280 or newer is ' +
    "required. Run 'claude update', or update the Claude desktop app, then try again."
  t.same(readVersionRefusal(said), { requiredVersion: '2.1.280' })
  t.same(readVersionRefusal('API Error: 400 {"error":{"details":{"error_code":"claude_code_version_too_old"}}}'), {})
  t.equal(readVersionRefusal('API Error: 400 version 2 is required'), undefined)
})
