import { createInterface } from 'node:readline'
import type { Client } from '../client/open-client.js'
import { describeMessage } from '../protocol/messages.js'
import { say } from './command.js'

type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean }

/**
 * Whoever watches a run on a terminal may say something to it: each line is a message. Lines are sent one after the
 * other, so that they arrive in the order in which they were written. Returns what ends it.
 */
export function openTalk(client: Pick<Client, 'send'>, executionId: string, input: Input = process.stdin): () => void {
  if (input.isTTY !== true) return () => undefined
  // Without an output the terminal keeps its own line editing, and Ctrl-C stays a signal.
  const lines = createInterface({ input })
  let last = Promise.resolve()
  lines.on('line', (text) => {
    if (text.trim() !== '') last = last.then(() => sendLine(client, executionId, text))
  })
  return () => {
    lines.close()
    // Else the process would wait for the next line.
    input.pause()
  }
}

async function sendLine(client: Pick<Client, 'send'>, executionId: string, text: string): Promise<void> {
  try {
    const message = await client.send(executionId, { text })
    if (message.status === 'dropped') say(describeMessage(message))
  } catch (error) {
    say(`the message was not sent: ${error instanceof Error ? error.message : String(error)}`)
  }
}
