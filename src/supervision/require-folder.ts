import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'

import type { OpenFolder } from '../platform/open-folder.js'
import { SuperviseError } from './supervise-error.js'

const hasProcesses = existsSync('/proc/self/cwd')

/**
 * Before a program is let go: it stands in the folder that was opened for it, also where the start went by a path that
 * somebody has exchanged meanwhile. Looked at from outside, so that nothing inside is believed.
 * @throws SuperviseError BAD_CWD
 */
export async function requireFolder(
  pid: number,
  { path, device, inode }: OpenFolder,
  wentByDescriptor: boolean,
): Promise<void> {
  let found: { dev: bigint; ino: bigint }
  try {
    found = await stat(`/proc/${pid}/cwd`, { bigint: true })
  } catch (cause) {
    // A run that is another user may not be looked at by everybody; then the start itself has compared.
    if (wentByDescriptor || !hasProcesses) return
    throw new SuperviseError('BAD_CWD', `The directory ${path} cannot be entered.`, { cause })
  }
  if (found.dev !== device || found.ino !== inode)
    throw new SuperviseError('BAD_CWD', `The directory ${path} was replaced by another one.`)
}
