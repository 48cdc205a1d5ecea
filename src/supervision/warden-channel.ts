import { constants } from 'node:os'
import type { Duplex } from 'node:stream'

export interface ExitReport {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

/** Pids as the warden sees them, that is inside its namespace. */
export interface WardenPids {
  readonly program: number
  readonly warden: number
  readonly reader: number
}

export interface WardenChannel {
  /** Rejects when the warden ends before it was ready. */
  readonly ready: Promise<WardenPids>
  /** Never rejects; a warden that ends without a word was killed, and the program with it. */
  readonly exited: Promise<ExitReport>
  beat(): void
  terminate(): void
  release(): void
  close(): void
}

const KILLED: ExitReport = { exitCode: null, signal: 'SIGKILL' }

const isSignalName = (name: string): name is NodeJS.Signals => name in constants.signals

function toSignalName(number: number): NodeJS.Signals | null {
  // Real-time signals have no name in Node; the exit code then carries the number, as a shell would say it.
  return (
    Object.keys(constants.signals)
      .filter(isSignalName)
      .find((name) => constants.signals[name] === number) ?? null
  )
}

/** `jobText` is what bash's `jobs -l` said; without it 128 + n is taken for a signal, except 143, claude's own exit. */
export function classifyStatus(status: number, jobText: string): ExitReport {
  const exitedByItself =
    jobText === '' ? status <= 128 || status === 143 : /^\[1\]\S*\s+\d+\s+(?:Exit|Done)\b/.test(jobText)
  const signal = exitedByItself ? null : toSignalName(status - 128)
  return signal === null ? { exitCode: status, signal: null } : { exitCode: null, signal }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(reason: Error): void
}

// Promise.withResolvers came with Node 22.
function defer<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> = { resolve: () => undefined, reject: () => undefined }
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: (value) => settle.resolve(value), reject: (reason) => settle.reject(reason) }
}

function writeLine(stream: Duplex, line: string): void {
  if (stream.writable) stream.write(`${line}\n`)
}

export function openWardenChannel(commands: Duplex, reports: Duplex, gate: Duplex): WardenChannel {
  const ready = defer<WardenPids>()
  const exited = defer<ExitReport>()
  let pending = ''
  let jobText = ''

  const readLine = (line: string): void => {
    const [word, ...numbers] = line.split(' ')
    if (word === 'READY') {
      const [program, warden, reader] = numbers.map(Number)
      // Signals are sent to these numbers, so a line that says something else must not become one.
      if (program && warden && reader) ready.resolve({ program, warden, reader })
      else ready.reject(new Error(`The warden said ${line}.`))
    } else if (word === 'EXIT') {
      exited.resolve(classifyStatus(Number(numbers[0]), jobText))
    } else if (jobText === '') {
      jobText = line
    }
  }
  reports.setEncoding('utf8')
  reports.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    lines.forEach(readLine)
  })
  const conclude = (): void => {
    ready.reject(new Error('The warden ended before it was ready.'))
    exited.resolve(KILLED)
  }
  reports.on('end', conclude)
  reports.on('close', conclude)
  // The run may end while something is being written; its end is told by the reports, not by EPIPE.
  for (const stream of [commands, reports, gate]) stream.on('error', () => undefined)
  for (const stream of [commands, gate]) stream.resume()
  ready.promise.catch(() => undefined)

  return {
    ready: ready.promise,
    exited: exited.promise,
    beat: () => writeLine(commands, 'BEAT'),
    terminate: () => writeLine(commands, 'TERM'),
    release: () => writeLine(gate, 'GO'),
    close: () => [commands, reports, gate].forEach((stream) => stream.destroy()),
  }
}
