import { Readable } from 'node:stream'

/** An answer as Node.js servers send it. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | Readable | undefined
}

/** One stream in place of two that are joined: each open call has one. */
function toReadable(body: ReadableStream<Uint8Array>): Readable {
  const reader = body.getReader()
  const stream = new Readable({
    read() {
      reader.read().then(
        ({ done, value }) => stream.push(done ? null : value),
        (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
      )
    },
  })
  // The head goes out with the first bytes, and a call may have nothing to say for long.
  stream.push(': open\n\n')
  // After the end there is nothing to be cancelled.
  return stream.once('close', () => void reader.cancel().catch(() => undefined))
}

/** `onOver` is called once, when all of it has been taken, or its reader has gone. */
export async function toHttpAnswer(response: Response, onOver: () => void): Promise<HttpAnswer> {
  const { status, body } = response
  const headers = Object.fromEntries(response.headers)
  // Of a connection Node.js decides by itself.
  delete headers['connection']
  if (body === null || !(headers['content-type'] ?? '').startsWith('text/event-stream')) {
    try {
      return { status, headers, body: body === null ? undefined : Buffer.from(await response.arrayBuffer()) }
    } finally {
      onOver()
    }
  }
  return { status, headers, body: toReadable(body).once('close', onOver) }
}
