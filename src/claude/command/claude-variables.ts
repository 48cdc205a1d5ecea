/**
 * Which of Claude Code's own variables are configuration: documented, set by people, and meant for every process of
 * theirs.
 * All others belong to one session. Claude Code hands those to what it starts (measured, 2.1.332: a messaging socket
 * with
 * its token, a folder for notes, ids of sessions, process numbers), and each version has more of them: so what is not
 * named here does not pass.
 */
const CONFIGURATION = new Set([
  'CLAUDE_AUTOCOMPACT_PCT_OVERRIDE',
  'CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR',
  'CLAUDE_ENABLE_STREAM_WATCHDOG',
  'CLAUDE_STREAM_IDLE_TIMEOUT_MS',
  'CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS',
  'CLAUDE_ASYNC_AGENT_STALL_TIMEOUT_MS',
  'CLAUDE_AUTO_BACKGROUND_TASKS',
  'CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD',
  'CLAUDE_CODE_API_KEY_HELPER_TTL_MS',
  'CLAUDE_CODE_ATTRIBUTION_HEADER',
  'CLAUDE_CODE_AUTO_COMPACT_WINDOW',
  'CLAUDE_CODE_CERT_STORE',
  'CLAUDE_CODE_CLIENT_CERT',
  'CLAUDE_CODE_CLIENT_KEY',
  'CLAUDE_CODE_CLIENT_KEY_PASSPHRASE',
  'CLAUDE_CODE_DEBUG_LOGS_DIR',
  'CLAUDE_CODE_DEBUG_LOG_LEVEL',
  'CLAUDE_CODE_EFFORT_LEVEL',
  'CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING',
  'CLAUDE_CODE_ENABLE_TASKS',
  'CLAUDE_CODE_ENABLE_TELEMETRY',
  'CLAUDE_CODE_EXTRA_BODY',
  'CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS',
  'CLAUDE_CODE_GLOB_HIDDEN',
  'CLAUDE_CODE_GLOB_NO_IGNORE',
  'CLAUDE_CODE_GLOB_TIMEOUT_SECONDS',
  'CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS',
  'CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS',
  'CLAUDE_CODE_OTEL_HEADERS_HELPER_DEBOUNCE_MS',
  'CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS',
  'CLAUDE_CODE_PLUGIN_CACHE_DIR',
  'CLAUDE_CODE_PLUGIN_GIT_TIMEOUT_MS',
  'CLAUDE_CODE_PLUGIN_SEED_DIR',
  'CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS',
  'CLAUDE_CODE_PROXY_RESOLVES_HOSTS',
  'CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS',
  'CLAUDE_CODE_SHELL',
  'CLAUDE_CODE_SHELL_PREFIX',
  'CLAUDE_CODE_SKIP_ANTHROPIC_AWS_AUTH',
  'CLAUDE_CODE_SKIP_BEDROCK_AUTH',
  'CLAUDE_CODE_SKIP_FOUNDRY_AUTH',
  'CLAUDE_CODE_SKIP_MANTLE_AUTH',
  'CLAUDE_CODE_SKIP_VERTEX_AUTH',
  'CLAUDE_CODE_SKIP_FAST_MODE_NETWORK_ERRORS',
  'CLAUDE_CODE_STARTUP_FAILURE_RESULTS',
  'CLAUDE_CODE_SUBAGENT_MODEL',
  'CLAUDE_CODE_SUBPROCESS_ENV_SCRUB',
  'CLAUDE_CODE_TOOL_MEMORY_LIMIT',
  'CLAUDE_CODE_USE_ANTHROPIC_AWS',
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_FOUNDRY',
  'CLAUDE_CODE_USE_MANTLE',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_USE_NATIVE_FILE_SEARCH',
])
/** Switches of features and limits, which new versions add to. */
const PREFIXES = ['CLAUDE_CODE_DISABLE_', 'CLAUDE_CODE_MAX_']

export function isClaudeConfiguration(name: string): boolean {
  return CONFIGURATION.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix))
}

/**
 * What a service keeps of the environment that a Claude Code session may have started it in: it outlives that session,
 * and serves others.
 */
export function withoutSurroundingSession(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !OF_CLAUDE.test(name) || isClaudeConfiguration(name) || OF_AN_ACCOUNT.has(name),
    ),
  )
}

/** Also what this service hands to the MCP servers of its runs, and what traces of a session are joined by. */
const OF_CLAUDE = /^(?:CLAUDE|AI_AGENT$|MCP_CONFIG_VALUE_|TRACEPARENT$|TRACESTATE$)/
const OF_AN_ACCOUNT = new Set([
  'CLAUDE_CONFIG_DIR',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CODE_OAUTH_REFRESH_TOKEN',
  'CLAUDE_CODE_OAUTH_SCOPES',
])
