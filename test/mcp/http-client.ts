// A client of /mcp by the official SDK, of either kind of revision.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { Test } from 'tap'
import type { Called } from './harness.js'

export type Era = '2025-11-25' | '2026-07-28'
export const ERAS: readonly Era[] = ['2025-11-25', '2026-07-28']

export interface Asked {
  readonly message: string
  readonly fields: readonly string[]
}
export type FormAnswer = { action: 'accept' | 'decline' | 'cancel'; content?: Record<string, string> }

export interface HttpClientOptions {
  readonly url: string
  readonly token: string
  readonly era: Era
  /** Answers what the user is asked; absent: the client cannot ask. */
  readonly elicit?: (asked: Asked, signal: AbortSignal) => FormAnswer | Promise<FormAnswer>
  /** Where a request goes, by its body. */
  readonly route?: (body: string) => string
}

export async function openHttpClient(t: Test, { url, token, era, elicit, route }: HttpClientOptions) {
  const client = new Client(
    { name: 'test', version: '0' },
    {
      capabilities: elicit ? { elicitation: {} } : {},
      versionNegotiation: { mode: era === '2026-07-28' ? 'auto' : 'legacy' },
    },
  )
  if (elicit)
    client.setRequestHandler('elicitation/create', async ({ params }, { mcpReq: { signal } }) =>
      elicit(
        {
          message: params.message,
          fields: 'requestedSchema' in params ? Object.keys(params.requestedSchema.properties) : [],
        },
        signal,
      ),
    )
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: (to, init) => fetch(route && typeof init?.body === 'string' ? `${route(init.body)}/mcp` : to, init),
  })
  await client.connect(transport)
  t.teardown(() => client.close())
  return {
    client,
    transport,
    async call(
      name: string,
      input: Record<string, unknown> = {},
      options?: Parameters<Client['callTool']>[1],
    ): Promise<Called> {
      const { content, structuredContent, isError = false } = await client.callTool({ name, arguments: input }, options)
      const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('')
      return { isError, text, structured: structuredContent }
    },
  }
}
