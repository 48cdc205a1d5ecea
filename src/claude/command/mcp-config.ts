import type { McpServer } from '../../protocol/execute-request.js'

/**
 * What may not stand in a caller's servers, or undefined. The CLI fills in `${NAME}` there from its own environment,
 * in headers even a second time in what it has filled in (seen with 2.1.197): a server of the caller's with the header
 * `${ANTHROPIC_API_KEY}` would be sent the operator's key. There is no way to escape it, so it is refused.
 */
export function findMcpFault(servers: Readonly<Record<string, McpServer>>): string | undefined {
  const json = JSON.stringify(servers)
  if (json.includes('${')) return 'must not contain ${: the CLI would substitute variables of the worker'
  // No header and no variable of a program can hold one.
  if (json.includes('\\u0000')) return 'must not contain NUL characters'
  return undefined
}
