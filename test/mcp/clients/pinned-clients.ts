// The MCP clients that people have, pinned, each from npm in a folder of its own: how it is set up for our server, and
// what it hands on.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Place {
  /** The client's HOME; what it writes goes there. */
  readonly home: string
  /** Where npm put it. */
  readonly modules: string
  /** The model's address. */
  readonly modelUrl: string
  readonly server: StartedServer | RemoteServer
}

/** What the client starts as our server, and the variables that its configuration names for it. */
export interface StartedServer {
  readonly command: string
  readonly env: Record<string, string>
}

/** One that runs elsewhere: MCP over HTTP. */
export interface RemoteServer {
  readonly url: string
  readonly token: string
}

const bearer = (token: string): { readonly Authorization: string } => ({ Authorization: `Bearer ${token}` })

export interface PinnedClient {
  readonly name: string
  readonly packages: readonly string[]
  /** Of PROBES, the variables of the client's own environment that reach our server. */
  readonly handsOn: readonly string[]
  /** Its settings, and how a prompt is given to it. */
  prepare(
    place: Place,
    prompt: string,
  ): Promise<{ readonly file: string; readonly args: readonly string[]; readonly env: Record<string, string> }>
}

/**
 * What a user may have in the environment of the client, and would like to reach the server. The folder is one below
 * the client's own.
 */
export const PROBES = {
  CC_EXECUTOR_URL: 'http://127.0.0.1:9',
  CC_EXECUTOR_TOKEN: 'a-probe-of-sixteen-or-more',
  XDG_DATA_HOME: 'data',
} as const
const EVERY_PROBE = Object.keys(PROBES)

async function put(file: string, content: unknown): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
}

export async function installFromNpm(folder: string, packages: readonly string[]): Promise<string> {
  await put(join(folder, 'package.json'), {})
  // What is installed is what the packages hold: no script fetches anything else.
  await promisify(execFile)(
    'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder, ...packages],
    { cwd: folder, timeout: 240_000 },
  )
  return join(folder, 'node_modules')
}

const PLATFORM = `${process.platform}-${process.arch}`

const claude: PinnedClient = {
  name: 'Claude Code',
  packages: [`@anthropic-ai/claude-code-${PLATFORM}@2.1.332`],
  handsOn: EVERY_PROBE,
  async prepare({ home, modules, modelUrl, server }, prompt) {
    const described = 'url' in server ? { type: 'http', url: server.url, headers: bearer(server.token) } : server
    await put(join(home, 'mcp.json'), { mcpServers: { 'cc-executor': described } })
    return {
      file: join(modules, `@anthropic-ai/claude-code-${PLATFORM}/claude`),
      args: [
        '-p',
        prompt,
        '--mcp-config',
        join(home, 'mcp.json'),
        '--strict-mcp-config',
        '--allowedTools',
        'mcp__cc-executor',
        '--output-format',
        'json',
      ],
      env: {
        ANTHROPIC_BASE_URL: modelUrl,
        ANTHROPIC_API_KEY: 'stand-in',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CODE_TMPDIR: home,
      },
    }
  },
}

const codex: PinnedClient = {
  name: 'Codex CLI',
  packages: ['@openai/codex@0.171.0'],
  handsOn: [],
  async prepare({ home, modules, modelUrl, server }, prompt) {
    const described =
      'url' in server
        ? [`url = ${JSON.stringify(server.url)}`, 'bearer_token_env_var = "CC_EXECUTOR_TOKEN_FOR_CODEX"']
        : [
            `command = ${JSON.stringify(server.command)}`,
            `env = { ${Object.entries(server.env)
              .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
              .join(', ')} }`,
          ]
    await put(
      join(home, '.codex/config.toml'),
      `
model = "stand-in"
model_provider = "stand-in"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.stand-in]
name = "Stand-in"
base_url = "${modelUrl}/v1"
wire_api = "responses"
[mcp_servers.cc-executor]
startup_timeout_sec = 90
required = true
${described.join('\n')}
`,
    )
    return {
      file: join(modules, '.bin/codex'),
      args: ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', prompt],
      env: { ...('url' in server && { CC_EXECUTOR_TOKEN_FOR_CODEX: server.token }) },
    }
  },
}

const gemini: PinnedClient = {
  name: 'Gemini CLI',
  packages: ['@google/gemini-cli@0.61.0'],
  handsOn: ['CC_EXECUTOR_URL', 'XDG_DATA_HOME'],
  async prepare({ home, modules, modelUrl, server }, prompt) {
    const described = 'url' in server ? { httpUrl: server.url, headers: bearer(server.token) } : server
    await put(join(home, '.gemini/settings.json'), {
      mcpServers: { 'cc-executor': { ...described, trust: true } },
      security: { auth: { selectedType: 'gemini-api-key' } },
      general: { enableAutoUpdate: false },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
    })
    return {
      file: join(modules, '.bin/gemini'),
      args: ['--skip-trust', '--yolo', '-m', 'gemini-2.5-flash', '-p', prompt],
      env: { GEMINI_API_KEY: 'stand-in', GOOGLE_GEMINI_BASE_URL: modelUrl },
    }
  },
}

const opencode: PinnedClient = {
  name: 'opencode',
  packages: [`opencode-${PLATFORM}@1.18.33`],
  handsOn: EVERY_PROBE,
  async prepare({ home, modules, modelUrl, server }, prompt) {
    const described =
      'url' in server
        ? { type: 'remote', url: server.url, headers: bearer(server.token), oauth: false }
        : { type: 'local', command: [server.command], environment: server.env }
    await put(join(home, '.config/opencode/opencode.json'), {
      autoupdate: false,
      share: 'disabled',
      model: 'stand-in/stand-in',
      small_model: 'stand-in/stand-in',
      provider: {
        'stand-in': {
          npm: '@ai-sdk/openai-compatible',
          name: 'Stand-in',
          options: { baseURL: `${modelUrl}/v1`, apiKey: 'stand-in' },
          models: { 'stand-in': { name: 'Stand-in' } },
        },
      },
      mcp: { 'cc-executor': { ...described, enabled: true } },
    })
    return {
      file: join(modules, `opencode-${PLATFORM}/bin/opencode`),
      args: ['run', prompt],
      env: { OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_LSP_DOWNLOAD: '1' },
    }
  },
}

/** It has no model: its "prompt" is the arguments of one request. It needs Node 22.19, which comes from npm as well. */
const inspector: PinnedClient = {
  name: 'MCP Inspector',
  packages: ['@modelcontextprotocol/inspector@2.12.0', `node-${PLATFORM}@24.9.0`],
  handsOn: [],
  prepare({ modules, server }, prompt) {
    const described =
      'url' in server
        ? [server.url, '--transport', 'http', '--header', `Authorization: ${bearer(server.token).Authorization}`]
        : [server.command, ...Object.entries(server.env).flatMap(([name, value]) => ['-e', `${name}=${value}`])]
    const launcher = join(modules, '@modelcontextprotocol/inspector/clients/launcher/build/index.js')
    // Safe: written by the test as a list of texts.
    return Promise.resolve({
      file: join(modules, `node-${PLATFORM}/bin/node`),
      args: [launcher, '--cli', ...described, '--connect-timeout', '90000', ...(JSON.parse(prompt) as string[])],
      env: {},
    })
  },
}

export const CLIENTS = { claude, codex, gemini, opencode, inspector }
