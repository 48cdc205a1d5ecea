// Peers, each a process of its own, ended by its pid.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { findExecutable } from '../../../src/platform/redis-server.js'
import { listenOn } from '../../support/redis.js'
import { connect } from 'node:net'
import type { Bench } from '../bench-context.js'
import { endWithUs, searchPath } from '../programs.js'
import { until } from '../../support/deadlines.js'

export interface Peer {
  readonly port: number
  close(): Promise<void>
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

/** One of the files beside this one. */
export async function openPeer(file: 'http-peer' | 'socket-peer', args: readonly string[]): Promise<Peer> {
  const path = fileURLToPath(new URL(`${file}.js`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  endWithUs(child)
  const exited = once(child, 'exit')
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await until(() => text.includes('\n') || child.exitCode !== null, `${file} says its port`)
  return {
    port: Number(/^port (\d+)$/m.exec(text)?.[1]),
    async close() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** undefined, and told, where it is not installed. */
export async function openWebsocketd(bench: Bench, program: string): Promise<Peer | undefined> {
  const binary = await findExecutable(['websocketd'], searchPath)
  if (binary === undefined) {
    bench.miss({ what: 'websocketd', why: 'it is not installed (apt-get install websocketd)' })
    return undefined
  }
  const opened: { child?: ReturnType<typeof spawn> } = {}
  const port = await listenOn(async (port) => {
    const child = spawn(binary, [`--port=${port}`, '--address=127.0.0.1', '--loglevel=fatal', program], {
      stdio: 'ignore',
    })
    opened.child = child
    endWithUs(child)
    await until(async () => child.exitCode !== null || (await isOpen(port)), 'websocketd listens')
    if (child.exitCode !== null) throw new Error('websocketd ended at its start')
  })
  return {
    port,
    async close() {
      const { child } = opened
      if (child === undefined || child.exitCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}
