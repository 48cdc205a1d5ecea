import { isInputRequiredResult, McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { parseInput } from '../protocol/errors.js'
import { OPERATIONS } from '../protocol/operations.js'
import { TOOLS, type ToolInput, type ToolName } from '../protocol/tools.js'
import { createConnectionElicit, type Elicit } from './ask-client.js'
import { readArguments } from './read-arguments.js'
import { offerResources } from './resources.js'
import type { ServiceAccess } from './service-access.js'
import { createToolHandlers, type ToolHandlers } from './tool-handlers.js'
import { toErrorResult, toResult, toToolError } from './tool-result.js'
import { toAnswerSchema, toJsonSchema, toShown } from './tool-schema.js'

const INSTRUCTIONS =
  'Runs Claude Code in the background, one execution for each prompt, each in a separate folder.\nCall ' +
  'execute. If it returns before the end (isFinished is false), the execution keeps running: call ' +
  'wait_for_execution with its id until it has ended. With onPermissionNeeded "ask" a call that needs a permission ' +
  'waits for a person: the answer names the approval, and decide_approval decides on it. A result that says succeeded is what the run ' +
  'itself reports; verify_execution returns what else is known, and what is not.'

export interface McpServerOptions {
  readonly access: ServiceAccess
  /** `modern`: revision 2026-07-28, in which no server asks a client; `legacy`: those before it. */
  readonly era: 'modern' | 'legacy'
  /** How a client of an older revision is shown a form; default: by a request on its connection. */
  readonly elicit?: Elicit
  readonly version: string
  /** What went wrong on our side, for the log: its caller is told no more than INTERNAL. */
  readonly onFailure: (error: unknown) => void
}

type Json = Record<string, unknown>
/** Over HTTP each request has a server, and the conversion takes longer than most answers. */
const converted = new Map<ToolName, { readonly input: Json; readonly output: Json }>()

function schemasOf(name: ToolName): { readonly input: Json; readonly output: Json } {
  const known = converted.get(name)
  if (known) return known
  const { input, output } = TOOLS[name]
  const made = { input: toJsonSchema(input), output: toAnswerSchema(output) }
  converted.set(name, made)
  return made
}

/** The MCP server: the tools of {@link TOOLS} and the resources on a service. It opens nothing itself. */
export function createMcpServer({ access, era, elicit, version, onFailure }: McpServerOptions): McpServer {
  const server = new McpServer(
    { name: 'cc-executor', title: 'CC Executor', version },
    { instructions: INSTRUCTIONS, capabilities: { tools: { listChanged: false }, resources: { listChanged: false } } },
  )
  const asking = era === 'modern' ? 'retry' : (elicit ?? createConnectionElicit(server))
  const handlers = createToolHandlers(access, asking)
  offerResources(server.server, access, onFailure)

  function register<Name extends ToolName>(name: Name): void {
    const { operation, title, description, input, annotations } = TOOLS[name]
    const handler: ToolHandlers[Name] = handlers[name]
    const json = schemasOf(name)
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema: toShown(json.input),
        outputSchema: toShown(json.output),
        annotations: { title, readOnlyHint: OPERATIONS[operation].scope === 'read', ...annotations },
      },
      async (given: unknown, context: ServerContext) => {
        try {
          // Safe: parsed by the very schema that its type is inferred from.
          const parsed = parseInput(input, readArguments(given, json.input)) as ToolInput<Name>
          const answer = await handler(parsed, context)
          return isInputRequiredResult(answer) ? answer : toResult(answer)
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
