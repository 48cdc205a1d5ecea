// The command line in real processes, where the process is the subject.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { RunCommand } from '../support/command-line.js'
import { CLI } from '../support/paths.js'
import { type TestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

if (!existsSync(CLI)) throw new Error('dist is missing: npm test builds it, or npx tsc -p tsconfig.build.json')

/** Steps of the scripted CLI. */
export const say = (text: string) => ({
  line: { type: 'assistant', message: { id: 'm1', content: [{ type: 'text', text }] } },
})
export const answer = (result: string) => ({ line: { type: 'result', subtype: 'success', is_error: false, result } })
export const HANGING = JSON.stringify([say('Well'), { hang: true }])

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** Resolves with the match once it is on stdout or stderr. */
  said(pattern: RegExp): Promise<RegExpExecArray>
  readonly ended: Promise<Ran>
}

export function startCli(t: Test, args: readonly string[], env: NodeJS.ProcessEnv, input?: string | Buffer): Running {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  const texts = { stdout: '', stderr: '' }
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const listeners = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      texts[name] += chunk
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code]): Ran => ({ code, ...texts }))
  return {
    child,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(texts.stderr) ?? pattern.exec(texts.stdout)
          if (found) resolve(found)
        }
        listeners.add(look)
        void ended.then(() => reject(new Error(`it ended without ${String(pattern)}: ${texts.stderr}${texts.stdout}`)))
        look()
      }),
  }
}

/** Commands for this service: as processes, or by `runCommand` where only what they print matters. */
export function openCli(t: Test, runCommand: RunCommand, service: TestService, url = service.url()) {
  const env = {
    CC_EXECUTOR_URL: url,
    CC_EXECUTOR_TOKEN: service.token,
    CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere'),
  }
  return {
    start: (args: readonly string[], input?: string | Buffer) => startCli(t, args, env, input),
    run: (args: readonly string[], input?: string | Buffer) => runCommand(args, env, input),
  }
}

export const idIn = (text: string): string => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(text)?.[0] ?? ''
