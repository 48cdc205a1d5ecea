import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { compareVersions } from './behaviour.js'

/** The versions of the CLI, both included, with which this code was tested. Outside it runs too, and says so. */
export const TESTED_VERSIONS = { from: '2.1.197', to: '2.1.197' } as const

const PROBE_DEADLINE_MS = 10_000

export interface ClaudePlaces {
  /** CC_EXECUTOR_CLAUDE_BIN: if it is set and leads nowhere, nothing else is taken in its stead. */
  readonly explicit?: string | undefined
  /** The PATH to search. */
  readonly path: string
  /** Where set-up puts the CLI when there is none elsewhere. */
  readonly cacheBin: string
}

export async function findClaude({ explicit, path, cacheBin }: ClaudePlaces): Promise<string | undefined> {
  if (explicit !== undefined && explicit !== '') {
    return explicit.includes('/') ? firstExecutable([resolve(explicit)]) : firstExecutable(toCandidates(path, explicit))
  }
  return firstExecutable([...toCandidates(path, 'claude'), cacheBin])
}

/** Relative entries of a PATH mean the current folder, where anybody may have put a `claude`. */
function toCandidates(path: string, name: string): string[] {
  return path.split(delimiter).filter(isAbsolute).map((folder) => join(folder, name))
}

async function firstExecutable(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    try {
      await access(file, constants.X_OK)
      if ((await stat(file)).isFile()) return file
    } catch {
      // Not there, or not for us: the next one.
    }
  }
  return undefined
}

/** `2.1.197`, or undefined when the program fails, is no Claude, or takes longer than its deadline. */
export async function probeClaudeVersion(binary: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  // A home of its own, so that asking for a version neither creates nor reads anything of the operator's.
  const folder = await mkdtemp(join(tmpdir(), 'cc-executor-probe-'))
  try {
    // Into a file and not a pipe: a grandchild that keeps the pipe open could hold us beyond the deadline.
    const file = join(folder, 'stdout')
    const output = await open(file, 'w')
    try {
      const child = spawn(binary, ['--version'], {
        cwd: folder,
        env: { PATH: env['PATH'] ?? '', HOME: folder, TMPDIR: folder, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
        stdio: ['ignore', output.fd, 'ignore'],
        // Not `timeout`: its timer outlives a program that could not be started, and keeps this process from ending.
        signal: AbortSignal.timeout(PROBE_DEADLINE_MS),
        killSignal: 'SIGKILL',
      })
      await once(child, 'exit')
      if (child.exitCode !== 0) return undefined
    } finally {
      await output.close()
    }
    return /^(\d+\.\d+\.\d+)\S* \(Claude Code\)/.exec(await readFile(file, 'utf8'))?.[1]
  } catch {
    return undefined // could not be started; findClaude's caller says that there is no usable CLI
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function isTestedVersion(version: string): boolean {
  return compareVersions(version, TESTED_VERSIONS.from) >= 0 && compareVersions(version, TESTED_VERSIONS.to) <= 0
}
