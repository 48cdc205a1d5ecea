import type { McpServer } from '../protocol/execute-request.js'

/**
 * The value of `--mcp-config`, with every header, every variable and every string that holds a `$` moved into the
 * run's environment and named as `${…}` in the JSON.
 *
 * Two reasons, both seen with the real CLI 2.1.197: a command line can be read by every user of the host, an
 * environment cannot; and the CLI expands `${NAME}` in this JSON from its own environment, so that a caller's
 * server with a header `${ANTHROPIC_API_KEY}` would have been sent the operator's key. It expands once only:
 * what comes out of a variable stays as it is.
 */
export function toMcpConfig(servers: Readonly<Record<string, McpServer>>): { json: string; env: Record<string, string> } {
  const env: Record<string, string> = {}
  const move = (value: string): string => {
    const name = `MCP_CONFIG_VALUE_${Object.keys(env).length + 1}`
    env[name] = value
    return `\${${name}}`
  }
  const neutralise = (value: string): string => (value.includes('$') ? move(value) : value)
  const moveAll = (map: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value === '' ? value : move(value)]))

  const mcpServers = Object.fromEntries(
    Object.entries(servers).map(([name, server]) => [
      name,
      'url' in server
        ? { ...server, url: neutralise(server.url), ...(server.headers && { headers: moveAll(server.headers) }) }
        : { ...server, command: neutralise(server.command), ...(server.args && { args: server.args.map(neutralise) }), ...(server.env && { env: moveAll(server.env) }) },
    ]),
  )
  return { json: JSON.stringify({ mcpServers }), env }
}
