import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isExecutionId } from '../../protocol/ids.js'
import type { OwnSettings } from '../../platform/own-places.js'
import { makeFolder } from '../../platform/make-folder.js'
import { prepareWorkspace, removeFolders, type RunFolders, type Workspace } from './prepare-workspace.js'

/** Whose the folders are that bear no execution's id. No run sees it, and none can write it. */
export interface StandbyNote {
  /** The worker that made them. */
  readonly workerId: string
  /** The execution that works in them since it was handed what stood there. */
  readonly executionId?: string
}

type Roots = Pick<OwnSettings, 'dataDir'>

const noteOf = (id: string, { dataDir }: Roots): string => join(dataDir, 'sessions', id, 'standby')

export async function noteStandby(id: string, note: StandbyNote, roots: Roots): Promise<void> {
  const path = noteOf(id, roots)
  await writeFile(`${path}.part`, JSON.stringify(note), { mode: 0o600 })
  await rename(`${path}.part`, path)
}

/** undefined: these are no such folders, or they are not on this host. */
export async function readStandbyNote(id: string, roots: Roots): Promise<StandbyNote | undefined> {
  if (!isExecutionId(id)) return undefined
  const text = await readFile(noteOf(id, roots), 'utf8').catch(() => undefined)
  // Safe: noteStandby wrote it, whole or not at all.
  return text === undefined ? undefined : (JSON.parse(text) as StandbyNote)
}

/** As of a fresh run, with the id in place of an execution's. The note comes first: by it a sweep leaves them alone. */
export async function makeStandbyFolders(
  id: string,
  workerId: string,
  roots: OwnSettings,
): Promise<{ folders: RunFolders; workspace: Workspace }> {
  await makeFolder(join(roots.dataDir, 'sessions', id), 0o700)
  await noteStandby(id, { workerId }, roots)
  return prepareWorkspace({ id, home: id, workspace: id }, roots)
}

export const removeStandbyFolders = removeFolders
