import type { McpServer } from '../../protocol/execute-request.js'

/**
 * The value of `--mcp-config`, with the values of headers and variables moved into the run's environment and named
 * as `${…}` in the JSON: a command line can be read by every user of the host, an environment cannot.
 */
export function toMcpConfig(servers: Readonly<Record<string, McpServer>>): {
  json: string
  env: Record<string, string>
} {
  const env: Record<string, string> = {}
  const move = (value: string): string => {
    const name = `MCP_CONFIG_VALUE_${Object.keys(env).length + 1}`
    env[name] = value
    return `\${${name}}`
  }
  // An empty variable counts as missing in the CLI, so an empty value stays where it is.
  const moveAll = (map: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value === '' ? value : move(value)]))

  const mcpServers = Object.fromEntries(
    Object.entries(servers).map(([name, server]) => [
      name,
      'url' in server
        ? { ...server, ...(server.headers && { headers: moveAll(server.headers) }) }
        : { ...server, ...(server.env && { env: moveAll(server.env) }) },
    ]),
  )
  return { json: JSON.stringify({ mcpServers }), env }
}

/**
 * What may not stand in a caller's servers, or undefined. The CLI fills in `${NAME}` there from its own environment,
 * in headers even a second time in what it has filled in (seen with 2.1.197): a server of the caller's with the header
 * `${ANTHROPIC_API_KEY}` would be sent the operator's key. There is no way to escape it, so it is refused.
 */
export function findMcpFault(servers: Readonly<Record<string, McpServer>>): string | undefined {
  const json = JSON.stringify(servers)
  if (json.includes('${')) return 'must not contain ${: the CLI would fill in variables of the worker'
  // Headers and variables travel in the environment, where a NUL would end them.
  if (json.includes('\\u0000')) return 'must not contain NUL characters'
  return undefined
}
