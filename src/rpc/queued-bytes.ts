import type { Socket } from 'node:net'

/**
 * What libuv still holds of a write that the kernel took only in part; net.Socket's own timeouts look at the same
 * figure.
 */
export function readQueuedBytes(transport: Socket | undefined): number {
  // `_handle` is not public: where it is missing, only whole flushes count as progress.
  const handle = (transport as { _handle?: { writeQueueSize?: number } } | undefined)?._handle
  return handle?.writeQueueSize ?? 0
}
