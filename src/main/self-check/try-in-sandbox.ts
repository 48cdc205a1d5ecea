import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { listClaudeFiles } from '../../claude/install/claude-files.js'
import { spawnClaude, type Containment } from '../../claude/stream/spawn-claude.js'
import { listOwn, listProtected } from '../../executions/run/run-sandbox.js'
import type { Config } from '../../platform/config.js'
import { joinSignals } from '../../platform/abort-signals.js'

const DEADLINE_MS = 20_000
const SHOWN_CHARACTERS = 200

export const SHOW_FILES =
  'CC_EXECUTOR_SANDBOX_READ=<the folder that it leads to>, or CC_EXECUTOR_CLAUDE_BIN with the program itself'

/**
 * Asks a CLI for its version once more, where runs are: a wrapper leads to files that they do not see. Returns what
 * stands in the way, for people; undefined where nothing does, or where it could not be found out (`signal` gives up).
 */
export async function tryInSandbox(
  binary: string,
  {
    config,
    containment,
    signal,
  }: { readonly config: Config; readonly containment: Containment; readonly signal?: AbortSignal },
): Promise<string | undefined> {
  if (containment.sandbox?.levels.includes('workspace') !== true) return undefined
  const folder = await mkdtemp(join(config.dataDir, 'probe-'))
  const [workspace, home] = [join(folder, 'workspace'), join(folder, 'home')]
  const path = config.environment['PATH'] ?? ''
  const { readable, writable, sockets, limits } = config.sandbox
  try {
    for (const place of [workspace, home]) await mkdir(place, { mode: 0o700 })
    const child = await spawnClaude(
      {
        file: binary,
        args: ['--version'],
        argv: [],
        files: [],
        firstLine: '',
        env: { PATH: path, HOME: home, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
      },
      {
        containment,
        workspace,
        marker: `cc-executor-probe-${randomUUID()}`,
        hidden: [],
        exposed: [],
        heartbeatTimeoutMs: 2 * DEADLINE_MS,
        sandbox: {
          level: 'workspace',
          home,
          limits,
          readable: [...(await listClaudeFiles(binary, path)), ...readable],
          writable: [home, ...writable],
          sockets,
          hidden: listOwn({ config }),
          protected: listProtected({ config }),
        },
      },
    )
    const over = joinSignals(signal ? [signal] : [], DEADLINE_MS)
    const end = (): void => void child.killAll().catch(() => undefined)
    over.signal.addEventListener('abort', end, { once: true })
    if (over.signal.aborted) end()
    try {
      const said = Promise.all([text(child.stdout), text(child.stderr)])
      child.release()
      child.stdin.end()
      const { exitCode } = await child.exited
      await child.killAll()
      // Slow, given up, or killed for want of memory: that says nothing of what is in view.
      if (over.signal.aborted || typeof exitCode !== 'number' || exitCode === 0) return undefined
      return explain(binary, exitCode, (await said).join('\n').trim())
    } finally {
      over.release()
      await child.killAll()
    }
  } catch {
    return undefined
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function explain(binary: string, exitCode: number, said: string): string {
  const [line = ''] = said.split('\n')
  const shown = line === '' ? '' : `: ${line.slice(0, SHOWN_CHARACTERS)}`
  return `${binary} starts outside of the sandbox but not in it (exit code ${exitCode}${shown}): runs do not see all of its files`
}
