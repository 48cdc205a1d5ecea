// Commands of cc-executor, one after the other in one process: forked by command-line.ts. To load them takes a third of
// a second, which is most of what such a command costs.
import { Readable } from 'node:stream'
import { CLI_COMMANDS } from '../../src/cli/commands.js'

export interface CommandCall {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Standard input, in base64. */
  readonly input: string
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function play({ args: [name = '', ...args], env, cwd, input }: CommandCall): Promise<Ran> {
  const texts = { stdout: '', stderr: '' }
  const ends: Array<() => void> = []
  for (const channel of ['stdout', 'stderr'] as const) {
    const stream = process[channel]
    const { write } = stream
    // As a stream takes it: with a callback, if any, at the end.
    stream.write = (chunk: string | Uint8Array, ...more: unknown[]) => {
      texts[channel] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
      const written = more.at(-1)
      if (typeof written === 'function') setImmediate(written as () => void)
      return true
    }
    ends.push(() => {
      stream.write = write
      stream.removeAllListeners('error')
    })
  }
  process.env = env
  process.chdir(cwd)
  process.exitCode = undefined
  const stdin = Readable.from(input === '' ? [] : [Buffer.from(input, 'base64')])
  Object.defineProperty(process, 'stdin', { value: stdin, configurable: true })
  try {
    await CLI_COMMANDS[name]?.(args)
    // Safe: whoever sets it here sets a number.
    return { code: (process.exitCode as number | undefined) ?? 0, ...texts }
  } finally {
    process.exitCode = 0
    for (const end of ends) end()
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeAllListeners(signal)
  }
}

let last: Promise<unknown> = Promise.resolve()
process.on('message', (call: CommandCall & { id: number }) => {
  last = last
    .then(() => play(call))
    .then(
      (ran) => process.send?.({ id: call.id, ran }),
      (error: unknown) => process.send?.({ id: call.id, error: String(error) }),
    )
})
