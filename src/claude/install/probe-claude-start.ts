import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { childEnvironment } from '../command/child-environment.js'
import type { Credentials } from '../command/claude-credentials.js'

const DEADLINE_MS = 20_000
const STDERR_LIMIT_CHARACTERS = 300
const NOBODY: Credentials = { method: 'none', source: 'none', billed: false, message: '', warnings: [] }
const GREETING = `${JSON.stringify({ type: 'control_request', request_id: 'probe', request: { subtype: 'initialize' } })}\n`

/**
 * Starts the CLI as a run does, below `folder`: a home and a temporary folder of its own, no credentials, stream-json
 * both ways.
 * It answers the greeting when it is ready for a prompt, and before it asks Claude anything (facts: claude-cli, section
 * 4).
 * Returns what went wrong, or undefined.
 */
export async function probeClaudeStart(
  binary: string,
  env: NodeJS.ProcessEnv,
  folder: string,
): Promise<string | undefined> {
  const place = await mkdtemp(join(folder, 'probe-'))
  const [home, tmpDir] = [join(place, 'home'), join(place, 'tmp')]
  try {
    await Promise.all([home, tmpDir].map((path) => mkdir(path, { mode: 0o700 })))
    const child = spawn(
      binary,
      [
        '-p',
        '--input-format=stream-json',
        '--output-format=stream-json',
        '--verbose',
        '--setting-sources=',
        '--strict-mcp-config',
      ],
      {
        cwd: place,
        env: {
          ...childEnvironment({ env, childEnv: [], credentials: NOBODY, home, tmpDir, bypassAsRoot: false }),
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      },
    )
    const closed = once(child, 'close').then(([code]) => `exit code ${code}`)
    // A program that cannot be started has no pid, and says why by an 'error'.
    closed.catch(() => undefined)
    const endGroup = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It is gone already.
      }
    }
    const timer = setTimeout(endGroup, DEADLINE_MS)
    let complaint = ''
    child.stderr.on(
      'data',
      (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, STDERR_LIMIT_CHARACTERS)),
    )
    // Whoever ends before it has read makes this fail; its end tells the rest.
    child.stdin.on('error', () => undefined)
    child.stdin.write(GREETING)
    let answered = false
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        if (!line.includes('"control_response"') || !line.includes('"success"')) continue
        answered = true
        child.stdin.end()
        break
      }
      child.stdout.resume()
      const how = await closed
      return answered ? undefined : `${how}${complaint.trim() === '' ? '' : `: ${complaint.trim().split('\n')[0]}`}`
    } finally {
      clearTimeout(timer)
      endGroup()
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await rm(place, { recursive: true, force: true, maxRetries: 3 })
  }
}
