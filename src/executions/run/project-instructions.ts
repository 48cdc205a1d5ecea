import { constants } from 'node:fs'
import { lstat, open, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { readConfined } from '../../platform/confined-folder.js'
import type { ProjectInstructions } from '../../protocol/project-instructions.js'
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

const FILES = [FILE, `.claude/${FILE}`]
/**
 * What the CLI would take from a workspace that is trusted (measured with 2.1.197 and 2.1.332). Skills, commands and
 * agents are no mere texts: they name tools that need no permission, hooks and servers.
 */
const IGNORED_PATHS = [
  '.claude/skills',
  '.claude/commands',
  '.claude/agents',
  '.claude/rules',
  '.claude/settings.json',
  '.claude/settings.local.json',
  '.mcp.json',
]

async function listPresent(workspace: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((path) => lstat(join(workspace, path)).catch(() => undefined)))
  return paths.filter((_path, index) => found[index] !== undefined)
}

/**
 * What CLAUDE.md says, as a text for the system prompt: the CLI itself reads none, as it would read settings and hooks
 * along with it. Nothing that it refers to (`@file`) is read. No text: there is nothing.
 * @param options.workspace undefined: the CLI reads what it has by itself
 */
export async function readInstructions(options: {
  readonly workspace: string | undefined
  readonly isWanted: boolean
  readonly operatorDir: string
}): Promise<{ readonly text: string | undefined; readonly project: ProjectInstructions | undefined }> {
  const { workspace, isWanted, operatorDir } = options
  const found: Found[] = [
    { title: `The operator's ${FILE}, for every project`, text: await readOfOperator(operatorDir) },
  ]
  const read: string[] = []
  if (workspace !== undefined && isWanted)
    for (const path of FILES) {
      const text = await readOfWorkspace(workspace, path)
      found.push({ title: `${path} of this project`, text })
      if (text !== '') read.push(path)
    }
  const parts = found.filter(({ text }) => text !== '').map(({ title, text }) => `## ${title}\n\n${text}`)
  const notRead =
    workspace === undefined ? [] : await listPresent(workspace, [...(isWanted ? [] : FILES), ...IGNORED_PATHS])
  return {
    text:
      parts.length === 0
        ? undefined
        : ['# Instructions of the project and its operator\n\nAdhere to them.', ...parts].join('\n\n'),
    project: read.length + notRead.length === 0 ? undefined : { read, notRead },
  }
}
