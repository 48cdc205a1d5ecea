// cc-executor's commands for tests of what they say: in one process for all of them. How a command begins and ends as a
// process is the subject of others (test/cli/run.test.ts).
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CommandCall, Ran } from './command-host.js'
import type { Teardown } from './processes.js'

const HOST = fileURLToPath(new URL('command-host.js', import.meta.url))

export type RunCommand = (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  input?: string | Buffer,
  cwd?: string,
) => Promise<Ran>

/** Calls wait for each other; what takes until somebody ends it has to be started as a process. */
export function openCommandLine(t: Teardown): RunCommand {
  let host: ChildProcess | undefined
  let count = 0
  const waiting = new Map<number, { resolve: (ran: Ran) => void; reject: (error: Error) => void }>()
  const open = (): ChildProcess => {
    const child = fork(HOST, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    child.on('message', ({ id, ran, error }: { id: number; ran?: Ran; error?: string }) => {
      if (ran) waiting.get(id)?.resolve(ran)
      else waiting.get(id)?.reject(new Error(error))
      waiting.delete(id)
    })
    child.on('exit', () => {
      for (const { reject } of waiting.values()) reject(new Error('the process of the commands has ended'))
    })
    return child
  }
  t.teardown(async () => void host?.kill('SIGKILL'))
  return (args, env, input = '', cwd = '/') =>
    new Promise((resolve, reject) => {
      const call: CommandCall = {
        args,
        env: { PATH: process.env['PATH'], ...env },
        cwd,
        input: Buffer.from(input).toString('base64'),
      }
      count += 1
      waiting.set(count, { resolve, reject })
      host ??= open()
      host.send({ id: count, ...call })
    })
}
