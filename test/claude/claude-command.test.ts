// What is said to the CLI: argv, environment with its credential, and the files beside them.
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { claudeCommand, type ClaudeSettings } from '../../src/claude/command/claude-command.js'
import { findCredentials } from '../../src/claude/install/credentials.js'
import { toRunRequest, type RunRequest } from '../../src/claude/command/run-request.js'

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
  // The longest timeout and a day, for which a run may be paused.
  const ceiling = { CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS: String(2 * 86_400 * 1_000) }
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

void t.test('a call on which somebody has decided is asked about, and no other', async (t) => {
  const own = { matcher: 'Bash', hooks: [{ type: 'command', command: 'true' }] }
  const toolUseId = `toolu_1'$(touch x)"`
  const { files, args } = command(
    {},
    { hooks: { PreToolUse: [own], Stop: [own] }, awaited: { tool: 'Bash', toolUseId } },
  )
  t.ok(args.includes('--settings=/input/settings.json'))
  const { hooks } = JSON.parse(files.find(({ name }) => name === 'settings.json')?.content ?? '')
  t.match(hooks, { PreToolUse: [own, { matcher: 'Bash' }], Stop: [own] })
  const ask = (call: object): string =>
    execFileSync('/bin/sh', ['-c', hooks.PreToolUse[1].hooks[0].command], {
      input: JSON.stringify(call),
      encoding: 'utf8',
    })
  t.match(JSON.parse(ask({ tool_name: 'Bash', tool_use_id: toolUseId })), {
    hookSpecificOutput: { permissionDecision: 'ask' },
  })
  const said = JSON.stringify({ tool_use_id: toolUseId })
  t.equal(ask({ tool_input: { command: said }, tool_use_id: 'toolu_2' }), '')
})
