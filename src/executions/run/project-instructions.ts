import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { readConfined } from '../../platform/confined-folder.js'
import { isInside } from '../workspaces/workspace-name.js'

const FILE = 'CLAUDE.md'
/** Of each file this much reaches the model. */
const SHOWN_BYTES = 64 * 1024
/** What is longer is none that was written for it, and is not even read. */
const READ_BYTES = 1024 * 1024

interface Found {
  readonly title: string
  readonly text: string
}

function cut(bytes: Buffer | 'too_large'): string {
  if (bytes === 'too_large') return '[This file is too long and was omitted.]'
  if (bytes.length <= SHOWN_BYTES) return bytes.toString('utf8').trim()
  // Half of a character at the end becomes none.
  const text = new TextDecoder('utf-8').decode(bytes.subarray(0, SHOWN_BYTES), { stream: true })
  return `${text.trim()}\n[Cut: the file has ${bytes.length} bytes.]`
}

/** Also by a link (`CLAUDE.md` → `AGENTS.md`), as long as it leads to a file of the workspace. */
async function readOfWorkspace(workspace: string, path: string): Promise<string> {
  // The folder itself, as it was opened for this run, whatever its name leads to by now.
  const root = await realpath(workspace)
  const real = await realpath(join(workspace, path)).catch(() => undefined)
  if (real === undefined || !isInside(real, root)) return ''
  const bytes = await readConfined(workspace, relative(root, real), READ_BYTES)
  return bytes === undefined ? '' : cut(bytes)
}

/** The operator's own, which may be a link to wherever. */
async function readOfOperator(folder: string): Promise<string> {
  const file = await open(join(folder, FILE), constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
  if (!file) return ''
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return ''
    return cut(stats.size > READ_BYTES ? 'too_large' : await file.readFile())
  } finally {
    await file.close()
  }
}

/**
 * What CLAUDE.md says, as a text for the system prompt: the CLI itself reads none, as it would read settings and hooks
 * along with it. Nothing that it refers to (`@file`) is read. undefined: there is nothing.
 */
export async function readInstructions(options: {
  readonly workspace: string | undefined
  readonly operatorDir: string
}): Promise<string | undefined> {
  const { workspace, operatorDir } = options
  const found: Found[] = [
    { title: `The operator's ${FILE}, for every project`, text: await readOfOperator(operatorDir) },
  ]
  if (workspace !== undefined)
    for (const path of [FILE, `.claude/${FILE}`])
      found.push({ title: `${path} of this project`, text: await readOfWorkspace(workspace, path) })
  const parts = found.filter(({ text }) => text !== '').map(({ title, text }) => `## ${title}\n\n${text}`)
  if (parts.length === 0) return undefined
  return ['# Instructions of the project and its operator\n\nAdhere to them.', ...parts].join('\n\n')
}
