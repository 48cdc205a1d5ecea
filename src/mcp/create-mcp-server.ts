import { McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { parseInput } from '../protocol/errors.js'
import { OPERATIONS } from '../protocol/operations.js'
import { TOOLS, type ToolInput, type ToolName } from '../protocol/tools.js'
import { createAskClient } from './ask-client.js'
import { readArguments } from './read-arguments.js'
import type { ServiceAccess } from './service-access.js'
import { createToolHandlers, type ToolHandlers } from './tool-handlers.js'
import { toErrorResult, toResult, toToolError } from './tool-result.js'
import { toInputSchema, toJsonSchema, toOutputSchema } from './tool-schema.js'

const INSTRUCTIONS =
  'Runs Claude Code in the background, one execution for each prompt, each in a separate folder.\nCall ' +
  'execute. If it returns before the end (isFinished is false), the execution keeps running: call ' +
  'wait_for_execution with its id until it has ended. With onPermissionNeeded "ask" a call that needs a permission ' +
  'waits for a person: the answer names the approval, and decide_approval decides on it. A result that says succeeded is what the run ' +
  'itself reports; verify_execution returns what else is known, and what is not.'

export interface McpServerOptions {
  readonly access: ServiceAccess
  readonly version: string
  /** What went wrong on our side, for the log: its caller is told no more than INTERNAL. */
  readonly onFailure: (error: unknown) => void
}

/** The MCP server: the tools of {@link TOOLS} on a service. It opens nothing itself. */
export function createMcpServer({ access, version, onFailure }: McpServerOptions): McpServer {
  const server = new McpServer(
    { name: 'cc-executor', title: 'CC Executor', version },
    { instructions: INSTRUCTIONS, capabilities: { tools: { listChanged: false } } },
  )
  const handlers = createToolHandlers(access, createAskClient(server))

  function register<Name extends ToolName>(name: Name): void {
    const { operation, title, description, input, output, annotations } = TOOLS[name]
    const handler: ToolHandlers[Name] = handlers[name]
    const json = toJsonSchema(input)
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema: toInputSchema(json),
        outputSchema: toOutputSchema(output),
        annotations: { title, readOnlyHint: OPERATIONS[operation].scope === 'read', ...annotations },
      },
      async (given: unknown, context: ServerContext) => {
        try {
          // Safe: parsed by the very schema that its type is inferred from.
          return toResult(await handler(parseInput(input, readArguments(given, json)) as ToolInput<Name>, context))
        } catch (error) {
          const toolError = toToolError(error)
          if (toolError.code === 'INTERNAL') onFailure(error)
          return toErrorResult(toolError)
        }
      },
    )
  }
  // Safe: the keys of the table itself.
  for (const name of Object.keys(TOOLS) as ToolName[]) register(name)
  return server
}
