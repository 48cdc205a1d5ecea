import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, isAbsolute, join, resolve } from 'node:path'

/** How long `--version` may take: on a busy machine seconds, on a stuck one for ever. */
const PROBE_DEADLINE_MS = 10_000
const SHOWN_CHARACTERS = 200

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
  return path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
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

/** Why there is none where findClaude found none. */
export async function explainMissing({ explicit }: Pick<ClaudePlaces, 'explicit'>): Promise<string> {
  if (explicit === undefined || explicit === '') return 'The Claude CLI was not found'
  const isThere = await access(explicit).then(
    () => true,
    () => false,
  )
  return `The Claude CLI was not found: CC_EXECUTOR_CLAUDE_BIN (${explicit}) ${isThere ? 'is not executable' : 'leads nowhere'}`
}

/** What `--version` gave: the version (`2.1.332`), or what was seen in its stead. */
export type ClaudeProbe = { readonly version: string } | { readonly problem: string }

/**
 * `signal` ends it early. Never throws: a disk that takes no file now is a reason to ask again, as a slow machine is.
 */
export async function probeClaude(
  binary: string,
  env: NodeJS.ProcessEnv,
  deadlineMs = PROBE_DEADLINE_MS,
  signal?: AbortSignal,
): Promise<ClaudeProbe> {
  const deadline = new AbortController()
  const end = (): void => deadline.abort()
  const timer = setTimeout(end, deadlineMs)
  signal?.addEventListener('abort', end, { once: true })
  if (signal?.aborted) end()
  try {
    return await probe(binary, env, deadlineMs, deadline.signal)
  } catch (error) {
    return { problem: `its version could not be read (${describe(error)})` }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
}

const describe = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

async function probe(
  binary: string,
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
  deadline: AbortSignal,
): Promise<ClaudeProbe> {
  // A home of its own, so that asking for a version neither creates nor reads anything of the operator's.
  const folder = await mkdtemp(join(tmpdir(), 'cc-executor-probe-'))
  try {
    // Into a file and not a pipe: a grandchild that keeps the pipe open could hold us beyond the deadline.
    const file = join(folder, 'output')
    const output = await open(file, 'w')
    try {
      const child = spawn(binary, ['--version'], {
        cwd: folder,
        env: { PATH: env['PATH'] ?? '', HOME: folder, TMPDIR: folder, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
        stdio: ['ignore', output.fd, output.fd],
        // Not `timeout`: its timer outlives a program that could not be started, and keeps this process from ending.
        signal: deadline,
        killSignal: 'SIGKILL',
      })
      await once(child, 'exit')
      const said = (await readFile(file, 'utf8')).trim()
      if (child.exitCode !== 0)
        return { problem: `--version failed with ${child.signalCode ?? `exit code ${child.exitCode}`}${quote(said)}` }
      const version = /^(\d+\.\d+\.\d+)\S* \(Claude Code\)/m.exec(said)?.[1]
      return version === undefined
        ? { problem: `it is not a Claude CLI: --version printed${quote(said) || ' nothing'}` }
        : { version }
    } catch (error) {
      if (deadline.aborted) return { problem: `--version did not answer within ${deadlineMs / 1_000} s` }
      return { problem: `it could not be started (${describe(error)})` }
    } finally {
      await output.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function quote(text: string): string {
  const [line = ''] = text.split('\n')
  return line === '' ? '' : `: ${line.slice(0, SHOWN_CHARACTERS)}`
}
