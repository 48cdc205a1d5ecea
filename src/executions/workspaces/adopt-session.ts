import { constants } from 'node:fs'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { makeFolder } from '../../platform/make-folder.js'
import { CLAUDE_FOLDER } from './renew-home.js'

/** A session's own folder beside its transcript holds what was too long for it, and its subagents' transcripts. */
const DEPTH_LIMIT = 4
const { O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_RDONLY } = constants

const listNames = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

/** A regular file only, by no link: earlier releases let runs write where it lies. */
async function copyFile(from: string, to: string): Promise<void> {
  const source = await open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY).catch(() => undefined)
  if (!source) return
  try {
    if (!(await source.stat()).isFile()) return
    const draft = `${to}.part`
    await rm(draft, { force: true })
    const target = await open(draft, 'wx', 0o600)
    await pipeline(source.createReadStream({ autoClose: false }), target.createWriteStream())
    await rename(draft, to)
  } finally {
    await source.close()
  }
}

async function copyTree(from: string, to: string, depth = 0): Promise<void> {
  const stats = await lstat(from).catch(() => undefined)
  if (stats?.isFile()) return copyFile(from, to)
  if (!stats?.isDirectory() || depth > DEPTH_LIMIT) return
  await makeFolder(to, 0o700)
  for (const name of await listNames(from)) await copyTree(join(from, name), join(to, name), depth + 1)
}

/**
 * Earlier releases ran with the operator's own Claude folder where there was a login, so conversations that began there
 * have their transcript in it: it is copied, and goes on in the session's own place.
 */
export async function adoptSession(operatorDir: string, home: string, sessionId: string): Promise<void> {
  const [from, to] = [join(operatorDir, 'projects'), join(home, CLAUDE_FOLDER, 'projects')]
  const file = `${sessionId}.jsonl`
  for (const folder of await listNames(to)) if ((await listNames(join(to, folder))).includes(file)) return
  for (const folder of await listNames(from)) {
    if (!(await lstat(join(from, folder))).isDirectory()) continue
    if (!(await listNames(join(from, folder))).includes(file)) continue
    await makeFolder(join(to, folder), 0o700)
    await copyTree(join(from, folder, sessionId), join(to, folder, sessionId))
    // Last: it says that all of it is there.
    await copyFile(join(from, folder, file), join(to, folder, file))
    return
  }
}
