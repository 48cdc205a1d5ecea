/** What has no end of its own for so long, such as a file that is printed, gets one. */
const LONGEST_CHARACTERS = 4_000
const FENCE = /^\s*(`{3,}|~{3,})/
/** It may belong to what stands above it: a list goes on after an empty line. */
const CONTINUES = /^(?:\s|[-*+]\s|\d{1,9}[.)]\s)/

/**
 * Markdown that is still being written, in blocks: those that are finished stay as they are, and only the last one is
 * read again with each word that comes. Once the whole text is there it is read as one.
 */
export class OpenBlocks {
  readonly finished: string[] = []
  last = ''
  #start = 0
  #read = 0
  /** Opened and not closed yet; and the line that opened it. */
  #fence: { readonly sign: string; readonly line: string } | undefined
  /** What the last block begins with, where it goes on with what was cut. */
  #opening = ''
  #isAfterEmpty = false

  /** The text so far, which begins with the one before. */
  grow(text: string): void {
    for (let end = text.indexOf('\n', this.#read); end !== -1; end = text.indexOf('\n', this.#read)) {
      this.#readLine(text, text.slice(this.#read, end))
      this.#read = end + 1
    }
    // One line that goes on and on: it is cut between two words.
    while (text.length - this.#start > 2 * LONGEST_CHARACTERS) {
      const space = text.lastIndexOf(' ', this.#start + LONGEST_CHARACTERS)
      this.#read = space > this.#start ? space + 1 : this.#start + LONGEST_CHARACTERS
      this.#finish(text)
    }
    this.last = this.#opening + text.slice(this.#start)
  }

  #readLine(text: string, line: string): void {
    const [, sign] = FENCE.exec(line) ?? []
    const isLong = this.#read - this.#start > LONGEST_CHARACTERS
    if (isLong || (this.#isAfterEmpty && !this.#fence && line !== '' && !CONTINUES.test(line))) this.#finish(text)
    if (!this.#fence) this.#fence = sign === undefined ? undefined : { sign, line }
    else if (sign?.startsWith(this.#fence.sign) && line.trim() === sign) this.#fence = undefined
    this.#isAfterEmpty = /^\s*$/.test(line)
  }

  /** Before the line that is read now. */
  #finish(text: string): void {
    const block = this.#opening + text.slice(this.#start, this.#read)
    this.finished.push(this.#fence ? block + this.#fence.sign : block)
    this.#opening = this.#fence ? `${this.#fence.line}\n` : ''
    this.#start = this.#read
  }
}
