// The model behind a client that is no Claude: enough of the Responses API (Codex), the Gemini API and the chat
// completions (opencode) for a client to offer its tools and call one.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from '../../support/deadlines.js'

/**
 * One turn of the model: a call of the tool whose name ends so, or its last words; it may depend on what the tools have
 * answered.
 */
export type Turn = PlainTurn | ((answers: readonly string[]) => PlainTurn)
type PlainTurn = { readonly tool: string; readonly input: Record<string, unknown> } | { readonly text: string }

export interface OfferedTool {
  readonly name: string
  readonly namespace?: string
  readonly description: string
  /** The schema as the client made it. */
  readonly parameters: Record<string, unknown>
}

export interface StandInModel {
  readonly url: string
  /** The tools of the newest request that brought any. */
  offered(): readonly OfferedTool[]
  /** What the tools answered, as the client told it, in order. */
  answers(): readonly string[]
  close(): Promise<void>
}

type Json = Record<string, unknown>
// Tests know their clients; what is not there is left out by the callers.
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : [])
const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

interface Reading {
  readonly tools: OfferedTool[]
  readonly answers: string[]
}

const toTool = (tool: Json, namespace?: string): OfferedTool => ({
  name: String(tool['name']),
  ...(namespace !== undefined && { namespace }),
  description: typeof tool['description'] === 'string' ? tool['description'] : '',
  // Safe: looked at by tests alone.
  parameters: (tool['parameters'] ?? tool['parametersJsonSchema'] ?? {}) as Json,
})

interface Dialect {
  read(body: Json): Reading
  write(turn: PlainTurn, tool: OfferedTool | undefined, index: number): Json[]
  /** How a stream ends. */
  readonly end: string
}

const USAGE = { input_tokens: 10, output_tokens: 10, total_tokens: 20 }

const responses: Dialect = {
  read(body) {
    const tools = list(body['tools']).flatMap((tool) =>
      tool['type'] === 'namespace'
        ? list(tool['tools']).map((inner) => toTool(inner, String(tool['name'])))
        : tool['type'] === 'function'
          ? [toTool(tool)]
          : [],
    )
    return {
      tools,
      answers: list(body['input'])
        .filter(({ type }) => type === 'function_call_output')
        .map(({ output }) => textOf(output)),
    }
  },
  write(turn, tool, index) {
    const item =
      'text' in turn
        ? {
            type: 'message',
            role: 'assistant',
            id: `msg_${index}`,
            content: [{ type: 'output_text', text: turn.text, annotations: [] }],
          }
        : {
            type: 'function_call',
            id: `fc_${index}`,
            call_id: `call_${index}`,
            name: tool?.name,
            ...(tool?.namespace !== undefined && { namespace: tool.namespace }),
            arguments: JSON.stringify(turn.input),
          }
    return [
      { type: 'response.created', response: { id: `resp_${index}` } },
      { type: 'response.output_item.done', output_index: 0, item },
      { type: 'response.completed', response: { id: `resp_${index}`, usage: USAGE } },
    ]
  },
  end: '',
}

const gemini: Dialect = {
  read(body) {
    const parts = list(body['contents']).flatMap(({ parts: some }) => list(some))
    return {
      tools: list(body['tools'])
        .flatMap(({ functionDeclarations }) => list(functionDeclarations))
        .map((tool) => toTool(tool)),
      answers: parts.flatMap(({ functionResponse }) =>
        functionResponse === undefined ? [] : [textOf(functionResponse)],
      ),
    }
  },
  write: (turn, tool) => [
    {
      candidates: [
        {
          index: 0,
          finishReason: 'STOP',
          content: {
            role: 'model',
            parts: ['text' in turn ? { text: turn.text } : { functionCall: { name: tool?.name, args: turn.input } }],
          },
        },
      ],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 10, totalTokenCount: 20 },
    },
  ],
  end: '',
}

const chat: Dialect = {
  read(body) {
    return {
      tools: list(body['tools']).map((tool) => toTool(tool['function'] as Json)),
      answers: list(body['messages'])
        .filter(({ role }) => role === 'tool')
        .map(({ content }) => textOf(content)),
    }
  },
  write(turn, tool, index) {
    const chunk = (delta: Json, finish: string | null): Json => ({
      id: `chat_${index}`,
      object: 'chat.completion.chunk',
      created: 0,
      model: 'stand-in',
      choices: [{ index: 0, delta, finish_reason: finish }],
    })
    return 'text' in turn
      ? [chunk({ role: 'assistant', content: turn.text }, null), chunk({}, 'stop')]
      : [
          chunk(
            {
              role: 'assistant',
              tool_calls: [
                {
                  index: 0,
                  id: `call_${index}`,
                  type: 'function',
                  function: { name: tool?.name, arguments: JSON.stringify(turn.input) },
                },
              ],
            },
            null,
          ),
          chunk({}, 'tool_calls'),
        ]
  },
  end: 'data: [DONE]\n\n',
}

const dialectOf = (path: string): Dialect | undefined =>
  path.endsWith('/responses')
    ? responses
    : path.endsWith('/chat/completions')
      ? chat
      : /:(?:stream)?[gG]enerateContent/.test(path)
        ? gemini
        : undefined

/**
 * Each turn is given once as many tools have answered as calls stand before it: the request alone decides, so that a
 * request which is sent again gets the same.
 */
export async function openStandInModel(turns: readonly Turn[]): Promise<StandInModel> {
  let offered: readonly OfferedTool[] = []
  let answers: readonly string[] = []

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk)
    const path = new URL(request.url ?? '/', 'http://stand.in').pathname
    const dialect = dialectOf(path)
    if (dialect === undefined || request.method !== 'POST')
      return void response.writeHead(404, { 'content-type': 'application/json' }).end('{}')
    const reading = dialect.read(JSON.parse(text) as Json)
    // Without tools it is a question beside the conversation, as for a title.
    if (reading.tools.length > 0) offered = reading.tools
    if (reading.answers.length > answers.length) answers = reading.answers
    const next = turns[reading.answers.length] ?? { text: 'The script has come to its end.' }
    const turn = reading.tools.length === 0 ? { text: '{}' } : typeof next === 'function' ? next(reading.answers) : next
    const tool = 'tool' in turn ? offered.find(({ name }) => name.endsWith(turn.tool)) : undefined
    const events = dialect.write(
      'tool' in turn && tool === undefined ? { text: `There is no tool ${turn.tool}.` } : turn,
      tool,
      reading.answers.length,
    )
    if (path.endsWith(':generateContent'))
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(events[0]))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const event of events)
      response.write(
        `${typeof event['type'] === 'string' ? `event: ${event['type']}\n` : ''}data: ${JSON.stringify(event)}\n\n`,
      )
    response.end(dialect.end)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    offered: () => offered,
    answers: () => answers,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
