import { toCancelLine, toMessageLine } from '../../claude/command/claude-command.js'
import type { Inbox } from '../../claude/stream/inbox.js'
import type { NewEvent } from '../../protocol/events.js'
import { toAccepted } from '../store/message-commands.js'
import type { StoredMessage } from '../records/stored-message.js'
import type { MessageCommands } from '../store/message-commands.js'
import { AttachmentError, type LoadAttachments, type LoadedAttachments } from './load-attachments.js'

export interface MessageDeskOptions {
  readonly executionId: string
  readonly store: Pick<MessageCommands, 'listMessages'>
  readonly report: (events: readonly NewEvent[]) => Promise<void>
  /**
   * Of an attempt that resumes the session: the messages that its transcript has. undefined: the session is new, and
   * nothing that was said to another one counts.
   */
  readonly known: ReadonlySet<string> | undefined
  /** @throws AttachmentError, and what the store throws */
  readonly load: LoadAttachments
  readonly onError: (error: unknown) => void
}

/** A message with what is handed over with it. */
type Loaded = StoredMessage & Pick<LoadedAttachments, 'blocks' | 'sent'>

const hasDocument = ({ blocks }: Loaded): boolean => blocks.some(({ type }) => type === 'document')

/**
 * The messages to a run, one attempt long: read from the store by their numbers, written to the CLI in that order, and
 * told as delivered when the CLI shows that it has read them.
 *
 *     stored → noted      message.accepted is in the log
 *     noted → sent        the line is on standard input
 *     sent → delivered    the CLI has repeated the line
 *     noted → (dropped)   what is attached to it cannot be handed over
 *     noted, sent → (end) it stays accepted: the next attempt sends it, or the end drops it
 */
export class MessageDesk implements Inbox {
  readonly #options: MessageDeskOptions
  /** In order; those that are to be sent come first to last. */
  readonly #unsent: Loaded[] = []
  readonly #sent = new Map<string, Loaded>()
  /** The CLI may have begun to read them all the same. */
  readonly #takenBack = new Map<string, Loaded>()
  #read = 0
  #wanted = 0
  #isReading = false
  #send: ((line: string) => boolean) | undefined

  constructor(options: MessageDeskOptions) {
    this.#options = options
  }

  get isAwaited(): boolean {
    return this.#sent.size > 0
  }

  /** So many messages there are by now; may be called with the same number many times. */
  learn(count: number): void {
    if (count <= this.#read) return
    this.#wanted = Math.max(this.#wanted, count)
    if (!this.#isReading) this.#readAll().catch((error: unknown) => this.#options.onError(error))
  }

  open(send: (line: string) => boolean): void {
    this.#send = send
    this.#sendAll()
  }

  close(): void {
    this.#send = undefined
  }

  /** The CLI repeats a line: the model has it, or is about to. */
  readonly seen = (messageId: string): NewEvent[] => {
    const message = this.#sent.get(messageId) ?? this.#takenBack.get(messageId)
    if (!message) return []
    this.#sent.delete(messageId)
    this.#takenBack.delete(messageId)
    // It was delivered to a session that was given up, or whose transcript has lost it.
    return message.fate ? [] : [{ type: 'message.delivered', data: { messageId, attachments: message.sent } }]
  }

  takeBack(): string {
    const lines = [...this.#sent.keys()].map(toCancelLine).join('')
    for (const [id, message] of this.#sent) this.#takenBack.set(id, message)
    this.#sent.clear()
    return lines
  }

  /** Where the store cannot be read, the next renewal of the lease has it tried again. */
  async #readAll(): Promise<void> {
    this.#isReading = true
    try {
      while (this.#read < this.#wanted && (await this.#readFurther()));
    } finally {
      this.#isReading = false
    }
  }

  async #readFurther(): Promise<boolean> {
    const { store, executionId, report } = this.#options
    const { messages, noted } = await store.listMessages(executionId, this.#read)
    const last = messages.at(-1)
    if (!last) return false
    const isFirst = this.#read === 0
    const events = messages.filter(({ number }) => number > noted).map(toAccepted)
    const open = messages.filter(({ delivery, fate }) => delivery === 'steer' && fate?.kind !== 'dropped')
    const { delivered, unsent } = isFirst ? this.#sortOut(open) : { delivered: [], unsent: open }
    const { loaded, dropped } = await this.#loadAll(unsent)
    this.#read = last.number
    await report([...events, ...delivered, ...dropped])
    this.#unsent.push(...loaded)
    this.#sendAll()
    return true
  }

  /** A file that is not what it was said to be does not come with the next attempt either. */
  async #loadAll(messages: readonly StoredMessage[]): Promise<{ loaded: Loaded[]; dropped: NewEvent[] }> {
    const loaded: Loaded[] = []
    const dropped: NewEvent[] = []
    for (const message of messages) {
      try {
        loaded.push({ ...message, ...(await this.#options.load(message.attachments)) })
      } catch (error) {
        if (!(error instanceof AttachmentError)) throw error
        const { id: messageId, followUpId } = message
        const data = { messageId, reason: 'attachment', followUpId, detail: error.message } as const
        if (!message.fate) dropped.push({ type: 'message.dropped', data })
      }
    }
    return { loaded, dropped }
  }

  /** The CLI reads lines in their order, some together under the last one's id: it knows what stands before that. */
  #sortOut(open: readonly StoredMessage[]): { delivered: NewEvent[]; unsent: readonly StoredMessage[] } {
    const { known } = this.#options
    const count = known ? open.findLastIndex(({ id }) => known.has(id)) + 1 : 0
    const delivered = open
      .slice(0, count)
      .filter(({ fate }) => !fate)
      .map(({ id }): NewEvent => ({ type: 'message.delivered', data: { messageId: id } }))
    return { delivered, unsent: open.slice(count) }
  }

  #sendAll(): void {
    for (let next = this.#unsent[0]; next && this.#send; next = this.#unsent[0]) {
      // Those behind one that waits for a turn of its own wait with it, since they are read in their order.
      const later = hasDocument(next) || [...this.#sent.values()].some(hasDocument)
      // Before it is written: it may be repeated at once.
      this.#sent.set(next.id, next)
      if (!this.#send(toMessageLine(next.id, { text: next.text ?? '', attached: next.blocks, later }))) {
        this.#sent.delete(next.id)
        return
      }
      this.#unsent.shift()
    }
  }
}
