import type { ClaudeProcess } from './spawn-claude.js'
import { decodeClaudeLine } from './decode-claude-line.js'

const REQUEST_ID = 'stand-by'
const LINE = `${JSON.stringify({
  type: 'control_request',
  request_id: REQUEST_ID,
  request: { subtype: 'initialize' },
})}\n`
const LINE_FEED = 0x0a
/** The answer has some 20 kB; a CLI that says so much before it has been asked anything is none that we know. */
const LIMIT_BYTES = 1024 * 1024

/**
 * Lets a prepared CLI go and resolves when it has started: it answers `initialize`, and until then no time that has
 * passed makes it ready (measured). What else it has said waits in its pipes, for whoever reads them then.
 * Rejects where it ends, says too much or is given up; the caller ends it.
 */
export async function bringToStandby(child: ClaudeProcess, over: AbortSignal): Promise<void> {
  const { stdin, stdout, stderr } = child
  // Node throws away what nobody reads once a process has ended, unless somebody might.
  const hold = (stream: typeof stdout) => stream.on('readable', () => stream.readableLength)
  hold(stderr)
  let rest: Buffer = Buffer.alloc(0)
  let said: Buffer = Buffer.alloc(0)
  const reading = new AbortController()
  const answered = new Promise<void>((resolve, reject) => {
    const read = (): void => {
      for (let chunk: Buffer | null; (chunk = stdout.read() as Buffer | null) !== null;)
        rest = Buffer.concat([rest, chunk])
      for (let end: number; (end = rest.indexOf(LINE_FEED)) >= 0;) {
        const line = rest.subarray(0, end)
        const isAnswer = isOurs(line)
        if (!isAnswer) said = Buffer.concat([said, rest.subarray(0, end + 1)])
        rest = rest.subarray(end + 1)
        if (isAnswer) return resolve()
      }
      if (said.length + rest.length > LIMIT_BYTES) reject(new Error('it has said too much before its first line'))
    }
    stdout.on('readable', read)
    reading.signal.addEventListener('abort', () => stdout.off('readable', read), { once: true })
    over.addEventListener('abort', () => reject(new Error('it was not ready in time')), {
      once: true,
      signal: reading.signal,
    })
    void child.exited.then(() => reject(new Error('it ended before it was ready')))
  })
  try {
    over.throwIfAborted()
    child.release()
    stdin.write(LINE)
    await answered
  } finally {
    // Handled here, whichever comes first.
    answered.catch(() => undefined)
    hold(stdout)
    reading.abort()
    if (said.length + rest.length > 0) stdout.unshift(Buffer.concat([said, rest]))
  }
}

function isOurs(line: Buffer): boolean {
  const decoded = decodeClaudeLine(line)
  if (decoded.kind !== 'message') return false
  const { type, response } = decoded.message as { type?: unknown; response?: { request_id?: unknown } }
  return type === 'control_response' && response?.request_id === REQUEST_ID
}
