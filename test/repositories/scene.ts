// Repositories to work on, and what is asked about them with git itself.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const IDENTITY = { NAME: 'Origin', EMAIL: 'origin@example.org' }

/** git as a person has it, apart from what this machine is set to. */
export async function git(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('git', args, {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_ALLOW_PROTOCOL: 'file:ext:git:http:ssh',
      ...Object.fromEntries(
        ['AUTHOR', 'COMMITTER'].flatMap((who) =>
          Object.entries(IDENTITY).map(([field, value]) => [`GIT_${who}_${field}`, value]),
        ),
      ),
    },
  })
  return stdout.trimEnd()
}

/** A repository with a working tree and one commit of these files on `main`. */
export async function makeRepository(folder: string, files: Record<string, string | Buffer>): Promise<string> {
  await mkdir(folder, { recursive: true })
  await git(folder, 'init', '-q', '-b', 'main')
  return commitFiles(folder, files, 'first')
}

export async function commitFiles(
  folder: string,
  files: Record<string, string | Buffer>,
  message: string,
): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  await git(folder, 'add', '-A')
  await git(folder, 'commit', '-q', '-m', message)
  return git(folder, 'rev-parse', 'HEAD')
}

/** A prompt whose run does these commands, one Bash call each. */
export const commands = (...lines: string[]): string =>
  `work\n\`\`\`simulate\n${JSON.stringify([
    ...lines.flatMap((command) => [{ tool: 'Bash', input: { command } }, { turn: true }]),
    { text: 'done' },
  ])}\n\`\`\``
