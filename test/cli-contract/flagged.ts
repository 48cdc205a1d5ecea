// One run with every flag and a prompt that must stay a text: several facts are looked up in it.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { Ended, Scene } from './scene.js'
import { once } from '../support/deadlines.js'

export const PROMPT = '/compact @/etc/hostname --help $(id)'
export const HEADERS: Readonly<Record<string, string>> = { 'x-one': 'a $HOME {x}', 'x-two': 'plain' }
export const FLAGS = {
  model: 'claude-sonnet-4-5',
  fallbackModel: 'claude-haiku-4-5',
  effort: 'low',
  systemPrompt: '-words of the first',
  appendSystemPrompt: '--words of the second',
  maxTurns: 3,
  maxBudgetUsd: 2.5,
  allowedTools: ['Bash(git commit:*)', 'Read'],
  disallowedTools: ['WebSearch'],
  agents: { reviewer: { description: 'd', prompt: 'p', tools: ['Read'] } },
} as const

/** The run, and what the MCP server that it names heard of it. */
export const flagged = ({ once: makeOnce, run }: Scene): Promise<{ ended: Ended; heard: IncomingHttpHeaders[] }> =>
  makeOnce('flagged', async () => {
    const heard: IncomingHttpHeaders[] = []
    const server = createServer((request, response) => {
      heard.push(request.headers)
      response.writeHead(404).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const mcpServers = { web: { type: 'http', url: `http://127.0.0.1:${port}/x`, headers: { ...HEADERS } } } as const
    const { allowedTools, disallowedTools, agents, ...flags } = FLAGS
    const lists = { allowedTools: [...allowedTools], disallowedTools: [...disallowedTools] }
    try {
      const reviewer = { ...agents.reviewer, tools: [...agents.reviewer.tools] }
      const ended = await run({ prompt: PROMPT, request: { ...flags, ...lists, agents: { reviewer }, mcpServers } })
      return { ended, heard }
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
