import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { createMcpServer } from '../mcp/create-mcp-server.js'
import { readConfig } from '../platform/config.js'
import { withSecretFiles } from '../platform/secret-files.js'
import { VERSION } from '../platform/version.js'
import { openJoinedService } from './lifecycle/join-service.js'
import { describeMcpConfig } from './terminal/print-mcp-config.js'

/** A prompt of 4 MiB, each byte of it escaped at worst. */
const MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024

const say = (text: string): void => void process.stderr.write(`cc-executor: ${text}\n`)

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/**
 * `cc-executor mcp`: MCP on standard input and output until the client has gone. Nothing but the protocol is on stdout.
 */
export async function serveMcp(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { simulate: { type: 'boolean', default: false }, 'print-config': { type: 'boolean', default: false } },
  })
  const config = readConfig()
  if (values['print-config']) {
    const { text, notes } = describeMcpConfig(withSecretFiles(config), values.simulate ? ['--simulate'] : [])
    for (const note of notes) say(note)
    await new Promise<void>((resolve) => {
      process.stdout.write(text, () => resolve())
    })
    return
  }
  const { stdin, stdout } = process
  const access = openJoinedService(config, { simulate: values.simulate })
  // Whichever comes first: it closes its end, somebody stops us, or nobody reads our answers any more.
  const gone = Promise.race([
    once(stdin, 'end'),
    once(stdin, 'close'),
    once(process, 'SIGTERM'),
    once(process, 'SIGINT'),
    once(process, 'SIGHUP'),
  ]).catch(() => undefined)
  const unread = new Promise<void>((resolve) => {
    stdout.on('error', () => resolve())
  })
  process.stderr.on('error', () => undefined)
  const served = serveStdio(
    ({ era }) => createMcpServer({ access, era, version: VERSION, onFailure: (error) => say(describe(error)) }),
    {
      transport: new StdioServerTransport(stdin, stdout, { maxBufferSize: MESSAGE_LIMIT_BYTES }),
      onerror: (error) => say(error.message),
    },
  )
  try {
    await Promise.race([gone, unread])
  } finally {
    // What runs in the service goes on: nobody but cancel_execution ends it.
    access.close()
    await served.close()
  }
}
