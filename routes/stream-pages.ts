import { Readable } from 'node:stream'

/**
 * Pages as a stream: the parts of one go to the socket in one turn, which is one call of the kernel, and the next is
 * asked for when there is room again. (`Readable.from` takes a turn for each part.)
 */
export function streamPages(pages: AsyncGenerator<readonly Buffer[], void, undefined>): Readable {
  async function pushNext(): Promise<void> {
    try {
      const { value, done } = await pages.next()
      if (stream.destroyed) return
      if (done === true) stream.push(null)
      else for (const part of value) stream.push(part)
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
  async function leave(): Promise<void> {
    try {
      await pages.return()
    } catch {
      // What failed has ended the stream.
    }
  }
  const stream = new Readable({ read: () => void pushNext() })
  return stream.once('close', () => void leave())
}
