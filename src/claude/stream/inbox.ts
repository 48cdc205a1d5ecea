/** What people say to a run while it goes on. */
export interface Inbox {
  /** From now on lines may be sent, the first line being on its way. `send` is false where no more are taken. */
  open(send: (line: string) => boolean): void
  /** Nothing is sent any more. */
  close(): void
  /** Lines were sent that the CLI has not begun to read to the model: it will, in a turn of its own at the latest. */
  readonly isAwaited: boolean
  /** Lines that take back what was sent and not read. What the CLI has begun with stays. */
  takeBack(): string
}

export const NO_INBOX: Inbox = { open: () => undefined, close: () => undefined, isAwaited: false, takeBack: () => '' }
