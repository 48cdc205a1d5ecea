import type { ClientError } from './client-error.js'

/** What a socket brings; each in the order in which it came. */
export interface SocketListener {
  onOpen(): void
  /** A text frame, and how long it was on the wire. */
  onText(text: string, bytes: number): void
  /** The peer lives. */
  onAlive(): void
  /** Refused, cut off or closed: at least once, and nothing follows. */
  onLost(error: ClientError): void
}

/** The face of a WebSocket that both runtimes have. */
export interface SocketTransport {
  /** Only once it is open. */
  send(text: string): void
  /** Nothing is read until `resume`; false: this runtime cannot stop reading. */
  pause(): boolean
  resume(): void
  /** At once where it still connects, otherwise with a goodbye. */
  close(): void
}

export interface SocketAddress {
  readonly url: string
  readonly token: string | undefined
}
