import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { deferCall, type DeferredCall } from '../../claude/stream/deferred-call.js'
import { readConfined, writeConfined } from '../../platform/confined-folder.js'
import type { RunFolders } from '../workspaces/prepare-workspace.js'
import { CLAUDE_FOLDER } from '../workspaces/renew-home.js'
import type { PossibleBeginning } from './plan-continuation.js'

/** A longer transcript is not rewritten: the call in it cannot be kept. */
const TRANSCRIPT_LIMIT_BYTES = 64 * 1024 * 1024

export interface KeptCall {
  readonly home: string
  readonly sessionId: string
  readonly toolUseId: string
  /** With which it is taken up. */
  readonly permissionMode?: string | undefined
}

interface Found {
  readonly projects: string
  readonly path: string
  readonly bytes: Buffer
  readonly call: DeferredCall
}

async function find({ home, sessionId, toolUseId, permissionMode }: KeptCall): Promise<Found | undefined> {
  const projects = join(home, CLAUDE_FOLDER, 'projects')
  for (const folder of await readdir(projects).catch((): string[] => [])) {
    const path = join(folder, `${sessionId}.jsonl`)
    const bytes = await readConfined(projects, path, TRANSCRIPT_LIMIT_BYTES)
    if (!Buffer.isBuffer(bytes)) continue
    const call = deferCall(bytes.toString(), toolUseId, permissionMode)
    return call && { projects, path, bytes, call }
  }
  return undefined
}

/** Whether the session, of which no process is left, holds the call so that another process can take it up. */
export const isKept = async (kept: KeptCall): Promise<boolean> => (await find(kept)) !== undefined

/** Has the next CLI of the session take the call up; false where the session does not hold it so. */
async function markKept(kept: KeptCall): Promise<boolean> {
  const found = await find(kept)
  if (!found) return false
  const { projects, path, bytes, call } = found
  if (call.lines !== undefined)
    await writeConfined(projects, path, Buffer.concat([bytes, Buffer.from(call.lines)]), {
      mode: 0o600,
      replaces: true,
    })
  return true
}

/** Has the CLI take up the call that was decided on; where the session has lost it, the prompt tells of it instead. */
export async function keepDecided(beginning: PossibleBeginning, { home }: RunFolders): Promise<PossibleBeginning> {
  const { decided, isSpent, sessionId = '', run } = beginning
  if (!decided || isSpent === true) return beginning
  const { toolUseId } = decided.asked
  const isMarked = await markKept({ home, sessionId, toolUseId, permissionMode: run.permissionMode })
  return isMarked ? beginning : { ...beginning, decided: undefined }
}
