import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { readQueuedBytes } from './queued-bytes.js'

/** One WebSocket message of text. */
export type Frame = string

/** Sends again and again what is at hand, when there is room for it. */
export interface FrameSource {
  /** A message, or whole frames as they go over the wire; undefined: nothing is at hand, `offer` it again. */
  next(): Frame | Buffer | undefined
  /** Where `next` has thrown. */
  fail(error: unknown): void
  /** The writer's: it waits for its turn. */
  isOffered: boolean
}

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
/** Below this, writing by itself costs more than waiting for what else the tick brings. */
const GATHERED_BYTES = 16 * 1024

export interface FrameWriter {
  /**
   * Takes its turn among the writers of this socket, then sends; resolves when all frames are handed over, and at once
   * when the
   * socket is no longer open. Frames may be built lazily: they are asked for when there is room. Rejects with what
   * their building throws.
   */
  write(frames: Iterable<Frame>): Promise<void>
  /** What it has at hand takes its turn; a turn of several sources passes on with each of their buffers. */
  offer(source: FrameSource): void
  /** An answer: goes before every frame that waits for its turn. */
  answer(frame: Frame): Promise<void>
  /** Somebody waits for the peer to take something. */
  readonly isWaiting: boolean
  /** Drops what waits and lets its writers go. */
  close(): void
}

interface FrameWriterOptions {
  readonly socket: WebSocket
  /** The TCP socket below: frames that are ready are written to it, and small ones gathered into few system calls. */
  readonly transport: Socket
  readonly writeDeadlineMs: number
  readonly onTooSlow: () => void
}

interface Turn {
  next(): Frame | Buffer | undefined
  fail(error: unknown): void
  /** It has left the queue. */
  readonly done?: () => void
}

/**
 * States: open (below the high water everything is sent at once) ⇄ waiting (turns queue, the deadline runs) → closed.
 * While waiting, whatever the peer takes starts the deadline anew.
 */
export function createFrameWriter({ socket, transport, writeDeadlineMs, onTooSlow }: FrameWriterOptions): FrameWriter {
  const answers: Turn[] = []
  const turns: Array<Turn | FrameSource> = []
  let isClosed = false
  let isCorked = false
  /** Frames on which a callback waits: those that reached the high water. */
  let unflushed = 0
  let deadline: NodeJS.Timeout | undefined
  let takenAt = 0
  let queuedBelow = 0

  /** All writers that one event wakes up share one system call: ticks run only when no promise is left to run. */
  function cork(): void {
    if (isCorked) return
    isCorked = true
    transport.cork()
    process.nextTick(uncork)
  }

  function uncork(): void {
    isCorked = false
    transport.uncork()
  }

  function send(): void {
    for (let turn = next(); turn; turn = next()) {
      if (transport.writableLength >= HIGH_WATER_BYTES) return awaitRoom()
      const frame = nextFrame(turn)
      if (frame === undefined) leave(turn)
      else if (typeof frame === 'string') sendFrame(frame)
      else {
        sendReady(frame)
        if (turns.length > 1 && turn === turns[0]) turns.push(...turns.splice(0, 1))
      }
    }
    if (deadline === undefined) return
    clearTimeout(deadline)
    deadline = undefined
  }

  function leave(turn: Turn | FrameSource): void {
    ;(turn === answers[0] ? answers : turns).shift()
    if ('isOffered' in turn) turn.isOffered = false
    else turn.done?.()
  }

  /**
   * undefined: there is none, or it cannot be built; that is its writer's to know, and nobody listens where a flush has
   * called us.
   */
  function nextFrame(turn: Turn | FrameSource): Frame | Buffer | undefined {
    try {
      return turn.next()
    } catch (error) {
      turn.fail(error)
      return undefined
    }
  }

  const next = (): Turn | FrameSource | undefined =>
    isClosed || socket.readyState !== OPEN ? undefined : (answers[0] ?? turns[0])

  function awaitRoom(): void {
    if (deadline === undefined) {
      takenAt = performance.now()
      queuedBelow = readQueuedBytes(transport)
      deadline = setTimeout(checkDeadline, writeDeadlineMs)
    }
    if (unflushed > 0 || !transport.writable) return
    // Pings and pongs have filled it, of whose end nobody tells us.
    unflushed += 1
    transport.write('', onFlushed)
  }

  /** Only the frame that fills the buffer carries a callback: a callback for each would cost more than the frame. */
  function sendFrame(frame: Frame): void {
    cork()
    const fills = transport.writableLength + Buffer.byteLength(frame) + HEADER_BYTES >= HIGH_WATER_BYTES
    if (!fills) return socket.send(frame)
    unflushed += 1
    socket.send(frame, onFlushed)
  }

  function sendReady(frames: Buffer): void {
    if (frames.length < GATHERED_BYTES) cork()
    if (transport.writableLength + frames.length < HIGH_WATER_BYTES) return void transport.write(frames)
    unflushed += 1
    transport.write(frames, onFlushed)
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
    if (transport.writableLength < HIGH_WATER_BYTES) send()
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
    for (const turn of [...answers.splice(0), ...turns.splice(0)]) if ('done' in turn) turn.done?.()
  }

  function enqueue(queue: Array<Turn | FrameSource>, frames: Iterable<Frame>): Promise<void> {
    if (isClosed || socket.readyState !== OPEN) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const iterator = frames[Symbol.iterator]()
      queue.push({
        next() {
          const { value, done } = iterator.next()
          return done === true ? undefined : value
        },
        done: resolve,
        fail: reject,
      })
      send()
    })
  }

  return {
    write: (frames) => enqueue(turns, frames),
    offer(source) {
      if (source.isOffered || isClosed || socket.readyState !== OPEN) return
      source.isOffered = true
      turns.push(source)
      // Who waits for room is called when there is some.
      if (deadline === undefined) send()
    },
    answer: (frame) => enqueue(answers, [frame]),
    get isWaiting() {
      return deadline !== undefined
    },
    close,
  }
}
