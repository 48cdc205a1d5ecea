import { isClaudeConfiguration } from './claude-variables.js'
import type { Credentials } from './claude-credentials.js'

/** Variables of the service's environment that a run may see. Whatever is not matched here stays outside. */
const PASSED = new Set([
  'PATH',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TERM',
  'USER',
  'LOGNAME',
  'SHELL',
  'TMPDIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'BASH_DEFAULT_TIMEOUT_MS',
  'BASH_MAX_TIMEOUT_MS',
  'BASH_MAX_OUTPUT_LENGTH',
  'MAX_THINKING_TOKENS',
  'MAX_MCP_OUTPUT_TOKENS',
  'MCP_TIMEOUT',
  'MCP_TOOL_TIMEOUT',
  'API_TIMEOUT_MS',
  'DISABLE_TELEMETRY',
  'DISABLE_ERROR_REPORTING',
  'DISABLE_AUTOUPDATER',
  'DISABLE_PROMPT_CACHING',
])
const PASSED_PREFIXES = ['LC_', 'ANTHROPIC_']

/**
 * What the run is given by the service, or would tie it to the session that the service may have been started from: not
 * even by CC_EXECUTOR_CHILD_ENV.
 */
const NEVER =
  /^(?:CLAUDECODE|CLAUDE_CONFIG_DIR|CLAUDE_CODE_(?:TMPDIR|ENTRYPOINT|SSE_PORT|EXECPATH|SIMPLE|SAFE_MODE|MESSAGING_\w+|CHILD_\w+|LAUNCHED_BY_\w+|REMOTE\w*|SESSION_(?:ID|ATTENDED))|CLAUDE_(?:PID|EFFORT|PROJECT_DIR|PLUGIN_ROOT|ENV_FILE))$/

/**
 * What proves an identity to Claude, each only with the method that needs it, so that a run holds one credential at
 * most.
 */
const CREDENTIALS_BY_METHOD: Partial<Record<Credentials['method'], readonly string[]>> = {
  // The CLI sends the key and the token together, and gateways exist that want both.
  api_key: ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN'],
  auth_token: ['ANTHROPIC_AUTH_TOKEN'],
  oauth_token: ['CLAUDE_CODE_OAUTH_TOKEN'],
}
const CREDENTIAL_VARIABLES = new Set([
  ...Object.values(CREDENTIALS_BY_METHOD).flat(),
  'CLAUDE_CODE_OAUTH_REFRESH_TOKEN',
  'CLAUDE_CODE_OAUTH_SCOPES',
  'CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR',
  'CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR',
])

const CLOUD_PREFIXES: Partial<Record<Credentials['method'], readonly string[]>> = {
  bedrock: ['AWS_'],
  vertex: ['GOOGLE_', 'GCLOUD_', 'CLOUD_ML_', 'CLOUDSDK_', 'VERTEX_'],
  foundry: ['AZURE_'],
}

/**
 * Of Claude's own variables, those which a simulated run may keep: the choice of models. All others could lead to an
 * account.
 */
const KEPT_IN_SIMULATION =
  /^(?:ANTHROPIC_(?:DEFAULT_\w+_)?MODEL|CLAUDE_CODE_(?:MAX_\w+|DISABLE_\w+|AUTO_COMPACT_\w+|FILE_READ_\w+))$/
const CLAUDES_OWN = /^(?:ANTHROPIC|CLAUDE|AWS|GOOGLE|GCLOUD|CLOUDSDK|AZURE)_/

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface ChildEnvironment {
  readonly env: NodeJS.ProcessEnv
  /** Names that the operator lets through on top of the list. */
  readonly childEnv: readonly string[]
  readonly credentials: Credentials
  readonly home: string
  readonly tmpDir: string
  readonly simulatorUrl?: string | undefined
  readonly bypassAsRoot: boolean
  /** Below what the CLI's own spans stand. */
  readonly trace?: { readonly traceparent: string; readonly tracestate?: string | undefined } | undefined
  /** The CLI sends its own telemetry, where there is an endpoint for it. */
  readonly hasTelemetry?: boolean
}

/** The whole environment of a run. Neither Redis nor anything of the service's own configuration is ever in it. */
export function childEnvironment(settings: ChildEnvironment): Record<string, string> {
  const { env, simulatorUrl } = settings
  const passed = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && mayPass(entry[0], entry[1], settings),
  )
  const simulated = simulatorUrl === undefined ? {} : simulate(simulatorUrl, settings)
  const made: Record<string, string> = {
    PATH: DEFAULT_PATH,
    CLAUDE_CODE_MAX_RETRIES: '2', // the queue owns the waiting; the CLI's own ten retries take three minutes
    ...Object.fromEntries(passed),
    ...simulated,
    HOME: settings.home,
    CLAUDE_CODE_TMPDIR: settings.tmpDir,
  }
  if (settings.hasTelemetry) Object.assign(made, toTelemetry(env))
  if (settings.trace) {
    made['TRACEPARENT'] = settings.trace.traceparent
    if (settings.trace.tracestate !== undefined) made['TRACESTATE'] = settings.trace.tracestate
  }
  // Without it the CLI refuses bypassPermissions as root.
  if (settings.bypassAsRoot) made['IS_SANDBOX'] = '1'
  return made
}

function mayPass(name: string, value: string, { childEnv, credentials, simulatorUrl }: ChildEnvironment): boolean {
  if (name === 'REDIS_URL' || name.startsWith('CC_EXECUTOR_')) return false
  if (simulatorUrl !== undefined && CLAUDES_OWN.test(name) && !KEPT_IN_SIMULATION.test(name)) return false
  if (NEVER.test(name)) return false
  // An empty variable is how Compose writes an unset one; the CLI must not take it for a credential or a switch.
  if (CREDENTIAL_VARIABLES.has(name))
    return value !== '' && (CREDENTIALS_BY_METHOD[credentials.method] ?? []).includes(name)
  if (childEnv.includes(name)) return true
  if (value === '') return false
  return (
    PASSED.has(name) ||
    isClaudeConfiguration(name) ||
    [...PASSED_PREFIXES, ...(CLOUD_PREFIXES[credentials.method] ?? [])].some((prefix) => name.startsWith(prefix))
  )
}

function simulate(simulatorUrl: string, { env, credentials }: ChildEnvironment): Record<string, string> {
  // A proxy must not be asked for the loopback address.
  const noProxy = [env['NO_PROXY'] || env['no_proxy'], '127.0.0.1', 'localhost'].filter(Boolean).join(',')
  return {
    ANTHROPIC_BASE_URL: simulatorUrl,
    ANTHROPIC_API_KEY: credentials.standIn ?? 'simulated',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    NO_PROXY: noProxy,
    no_proxy: noProxy,
  }
}

const OTLP_ENDPOINT = /^OTEL_EXPORTER_OTLP_(?:(?:TRACES|METRICS|LOGS)_)?ENDPOINT$/

/**
 * What has the CLI send its spans: its tracing is a beta with a switch of its own, and it asks for an exporter and a
 * protocol, of which OpenTelemetry has defaults (measured with 2.1.197 and 2.1.332). The operator's own words count
 * more.
 */
function toTelemetry(env: NodeJS.ProcessEnv): Record<string, string> {
  const given = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[0].startsWith('OTEL_') && Boolean(entry[1]),
  )
  if (!given.some(([name]) => OTLP_ENDPOINT.test(name))) return {}
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: env['CLAUDE_CODE_ENABLE_TELEMETRY'] || '1',
    CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: env['CLAUDE_CODE_ENHANCED_TELEMETRY_BETA'] || '1',
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    ...Object.fromEntries(
      given.map(([name, value]) => [name, name.endsWith('_HEADERS') ? decodeHeaders(value) : value]),
    ),
  }
}

/** Percent-encoded, as OpenTelemetry has them, the CLI sends them as they stand (measured with 2.1.332). */
function decodeHeaders(text: string): string {
  try {
    const decoded = text.split(',').map(decodeURIComponent)
    return decoded.some((part) => part.includes(',')) ? text : decoded.join(',')
  } catch {
    return text
  }
}
