import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { OPEN_FOLDER_FLAGS, pathOf } from './folder-identity.js'

/** A folder that was opened once: whoever works by `address` or `fd` works in this one, whatever its path leads to. */
export interface OpenFolder {
  /** As it was called when it was opened, links resolved. */
  readonly path: string
  /** Leads to it by its descriptor, where the system has such addresses; else its path. */
  readonly address: string
  readonly fd: number
  readonly device: bigint
  readonly inode: bigint
  close(): Promise<void>
}

const DESCRIPTORS = `/proc/${process.pid}/fd`
const hasDescriptors = existsSync(DESCRIPTORS)

/** @param path without links: one at its end is not followed. Rejects as node:fs does. */
export async function openFolder(path: string): Promise<OpenFolder> {
  const handle = await open(path, OPEN_FOLDER_FLAGS)
  try {
    const { dev, ino } = await handle.stat({ bigint: true })
    let closing: Promise<void> | undefined
    return {
      // What stood at a part of the path may have been exchanged for a link: the kernel knows what was opened.
      path: pathOf(handle.fd) ?? path,
      address: hasDescriptors ? `${DESCRIPTORS}/${handle.fd}` : path,
      fd: handle.fd,
      device: dev,
      inode: ino,
      close: () => (closing ??= handle.close()),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}
