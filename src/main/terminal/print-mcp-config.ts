import { fileURLToPath } from 'node:url'
import { SECRET_NAMES } from '../../platform/secret-files.js'
import { quoteForShell } from '../../platform/shell-quote.js'

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url))
/** Clients hand their servers a few variables only; what a service here was configured with goes along by name. */
const HANDED_ON = new RegExp(
  `^(?:CC_EXECUTOR_\\w+|REDIS_URL|CLAUDE_CONFIG_DIR|XDG_(?:DATA|CACHE)_HOME|(?:${SECRET_NAMES.join('|')})_FILE)$`,
)
/** Whatever is printed ends in files and histories. */
const SECRET = /TOKENS?$|^REDIS_URL$|^ANTHROPIC_API_KEY$|^ANTHROPIC_AUTH_TOKEN$|^CLAUDE_CODE_OAUTH_TOKEN$/

/** What to write into a client's configuration, with absolute paths, since the package is in no registry. */
export function describeMcpConfig(
  environment: NodeJS.ProcessEnv,
  args: readonly string[],
): { readonly text: string; readonly notes: readonly string[] } {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== ''
  const names = Object.keys(environment)
    .filter((name) => isSet(name) && HANDED_ON.test(name) && !SECRET.test(name))
    .sort()
  const settings = Object.fromEntries(names.map((name) => [name, environment[name] ?? '']))
  const secrets = Object.keys(environment)
    .filter((name) => isSet(name) && SECRET.test(name) && (HANDED_ON.test(name) || /^(?:ANTHROPIC|CLAUDE)_/.test(name)))
    .sort()
  const command = [process.execPath, CLI, 'mcp', ...args]
  const [program, ...rest] = command
  // An application that was not started from a shell has a short PATH, without claude.
  const env = { PATH: isSet('PATH') ? environment['PATH'] : undefined, ...settings }
  const block = { mcpServers: { 'cc-executor': { command: program, args: rest, env } } }
  const flags = names.map((name) => ` -e ${quoteForShell(`${name}=${settings[name] ?? ''}`)}`).join('')
  return {
    text: `Claude Desktop: Settings, Developer, Edit Config (claude_desktop_config.json)

${JSON.stringify(block, undefined, 2)}

Claude Code:

claude mcp add cc-executor --scope user${flags} -- ${command.map(quoteForShell).join(' ')}
`,
    notes: secrets.map(
      (name) =>
        `${name} is a secret and is not printed; a client that is not started from this shell needs it in "env".`,
    ),
  }
}
