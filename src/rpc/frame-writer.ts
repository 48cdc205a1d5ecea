import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { readQueuedBytes } from './queued-bytes.js'

/** One WebSocket message of text, or its UTF-8. */
export type Frame = string | Buffer

/**
 * So much is handed to the socket at most, and one frame more; the kernel's own buffer comes on top. Past it frames
 * wait with whoever
 * produces them. More gained nothing (2026-11-22: 128 KiB to 1 MiB within noise) and is kept for every slow peer.
 */
const HIGH_WATER_BYTES = 256 * 1024
/** A stuck peer never takes the close frame either: after this its socket is cut off. */
const CLOSE_GRACE_MS = 2_000
const TOO_SLOW = 1013
const OPEN = 1
/** At most so much stands before a frame's text. */
const HEADER_BYTES = 14
/** Buffers hold UTF-8 text, too. */
const TEXT = { binary: false }

export interface FrameWriter {
  /**
   * Takes its turn among the writers of this socket, then sends; resolves when all frames are handed over, and at once
   * when the
   * socket is no longer open. Frames may be built lazily: they are asked for when there is room. Rejects with what
   * their building throws.
   */
  write(frames: Iterable<Frame>): Promise<void>
  /** An answer: goes before every frame that waits for its turn. */
  answer(frame: Frame): Promise<void>
  /** Somebody waits for the peer to take something. */
  readonly isWaiting: boolean
  /** Drops what waits and lets its writers go. */
  close(): void
}

interface FrameWriterOptions {
  readonly socket: WebSocket
  /** The TCP socket below; without it frames are not gathered into few system calls. */
  readonly transport?: Socket | undefined
  readonly writeDeadlineMs: number
  readonly onTooSlow: () => void
}

interface Turn {
  readonly frames: Iterator<Frame>
  readonly done: () => void
  readonly fail: (error: unknown) => void
}

/**
 * States: open (below the high water everything is sent at once) ⇄ waiting (turns queue, the deadline runs) → closed.
 * While waiting, whatever the peer takes starts the deadline anew.
 */
export function createFrameWriter({ socket, transport, writeDeadlineMs, onTooSlow }: FrameWriterOptions): FrameWriter {
  const answers: Turn[] = []
  const turns: Turn[] = []
  let isClosed = false
  let isCorked = false
  /** Frames on which a callback waits: those that reached the high water. */
  let unflushed = 0
  let deadline: NodeJS.Timeout | undefined
  let takenAt = 0
  let queuedBelow = 0

  /** All writers that one event wakes up share one system call: ticks run only when no promise is left to run. */
  function cork(): void {
    if (isCorked || !transport) return
    isCorked = true
    transport.cork()
    process.nextTick(() => {
      isCorked = false
      transport.uncork()
    })
  }

  function send(): void {
    for (let turn = next(); turn; turn = next()) {
      if (socket.bufferedAmount >= HIGH_WATER_BYTES) return awaitRoom()
      const frame = nextFrame(turn)
      if (frame === undefined) {
        ;(turn === answers[0] ? answers : turns).shift()
        turn.done()
      } else {
        cork()
        sendFrame(frame)
      }
    }
    clearTimeout(deadline)
    deadline = undefined
  }

  /**
   * undefined: there is none, or it cannot be built; that is its writer's to know, and nobody listens where a flush has
   * called us.
   */
  function nextFrame({ frames, fail }: Turn): Frame | undefined {
    try {
      const { value, done } = frames.next()
      return done === true ? undefined : value
    } catch (error) {
      fail(error)
      return undefined
    }
  }

  const next = (): Turn | undefined => (isClosed ? undefined : (answers[0] ?? turns[0]))

  function awaitRoom(): void {
    if (deadline === undefined) {
      takenAt = performance.now()
      queuedBelow = readQueuedBytes(transport)
      deadline = setTimeout(checkDeadline, writeDeadlineMs)
    }
    if (unflushed > 0 || transport?.writable !== true) return
    // Pings and pongs have filled it, of whose end nobody tells us.
    unflushed += 1
    transport.write('', onFlushed)
  }

  /** Only the frame that fills the buffer carries a callback: a callback for each would cost more than the frame. */
  function sendFrame(frame: Frame): void {
    const fills = socket.bufferedAmount + Buffer.byteLength(frame) + HEADER_BYTES >= HIGH_WATER_BYTES
    if (!fills) return socket.send(frame, TEXT)
    unflushed += 1
    socket.send(frame, TEXT, onFlushed)
  }

  function onFlushed(error?: Error | null): void {
    unflushed -= 1
    if (error || isClosed) return
    takenAt = performance.now()
    // Not at once: a peer that reads as fast as we write must not keep the process from its other sockets.
    if (unflushed === 0) setImmediate(send)
  }

  function checkDeadline(): void {
    // One long frame goes out in parts, of which only the queue below knows.
    const queued = readQueuedBytes(transport)
    if (queued !== queuedBelow) takenAt = performance.now()
    queuedBelow = queued
    if (socket.bufferedAmount < HIGH_WATER_BYTES) send()
    if (deadline === undefined || isClosed) return
    const left = takenAt + writeDeadlineMs - performance.now()
    if (left > 0) {
      deadline = setTimeout(checkDeadline, left)
      return
    }
    close()
    onTooSlow()
    socket.close(TOO_SLOW, 'too slow, resume by after')
    const grace = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
    socket.once('close', () => clearTimeout(grace))
  }

  function close(): void {
    isClosed = true
    clearTimeout(deadline)
    deadline = undefined
    for (const turn of [...answers.splice(0), ...turns.splice(0)]) turn.done()
  }

  function enqueue(queue: Turn[], frames: Iterable<Frame>): Promise<void> {
    if (isClosed || socket.readyState !== OPEN) return Promise.resolve()
    return new Promise((resolve, reject) => {
      queue.push({ frames: frames[Symbol.iterator](), done: resolve, fail: reject })
      send()
    })
  }

  return {
    write: (frames) => enqueue(turns, frames),
    answer: (frame) => enqueue(answers, [frame]),
    get isWaiting() {
      return deadline !== undefined
    },
    close,
  }
}
