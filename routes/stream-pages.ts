import { Readable } from 'node:stream'

/**
 * Pages as a stream: the parts of one go to the socket in one turn, which is one call of the kernel, and the next is
 * asked for when there is room again. (`Readable.from` takes a turn for each part.)
 */
export function streamPages(pages: AsyncGenerator<readonly Buffer[], void, undefined>): Readable {
  async function pushNext(stream: Readable): Promise<void> {
    try {
      const { value, done } = await pages.next()
      if (done === true) stream.push(null)
      else for (const part of value) stream.push(part)
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
  return new Readable({
    read() {
      void pushNext(this)
    },
    destroy(error, done) {
      pages.return().then(
        () => done(error),
        (failure: Error) => done(failure),
      )
    },
  })
}
