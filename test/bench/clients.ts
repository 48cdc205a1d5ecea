// The load: programs that cost next to nothing, and a few calls by hand.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Bench } from './bench-context.js'
import { endWithUs, run } from './programs.js'
import { BENCH_HOST, type Service } from './service.js'

const READ_DEADLINE_MS = 60_000
/** For names of files. */
let requestCount = 0

export type LineKind = 'raw' | 'delta' | 'prose' | 'tool' | 'call' | 'none'
export interface Order {
  readonly kind: LineKind
  readonly bytes: number
  readonly lines: number
  /** 0: as fast as it can. */
  readonly perSecond?: number
  readonly delayMs?: number
}

/** What the printer is told. */
export const toPrompt = ({ kind, bytes, lines, perSecond = 0, delayMs = 0 }: Order): string =>
  `BENCH ${kind} ${bytes} ${lines} ${perSecond} ${
    delayMs === 0 ? 0 : Number(process.hrtime.bigint() / 1000n) + delayMs * 1000
  }`

export interface Read {
  readonly lines: number
  /** On the socket that had the fewest. */
  readonly least: number
  readonly bytes: number
  /** From the first line to the last. */
  readonly seconds: number
  readonly begunToFirstMs: number
  /** All had an answer before the first line came. */
  readonly readyBeforeFirst: boolean
  /** From the last line to the end. */
  readonly endMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface ReadOptions {
  readonly port: number
  readonly path: string
  readonly token?: string
  readonly connections?: number
  /** Per connection; 0: until it is told to end. */
  readonly lines: number
  readonly end?: string
  readonly message?: () => string
  /** One of its own for each connection, instead, asked for when all are connected. */
  readonly messages?: () => Promise<readonly string[]>
  readonly withLatency?: boolean
  /** When all are connected, before any of them says anything. */
  readonly onConnected?: () => Promise<void>
  /** When all have an answer. */
  readonly onReady?: () => Promise<void>
}

/** @throws Error where a line is missing */
export async function readSockets({ programs, folder }: Bench, options: ReadOptions): Promise<Read> {
  const { port, path, token = '', connections = 1, lines, end = '', withLatency = false } = options
  const file = join(folder, `messages-${(requestCount += 1)}`)
  const text = options.messages ? `@${file}` : (options.message?.() ?? '')
  const child = spawn(
    programs['ws-reader'],
    [port, path, token, connections, lines, end, text, ...(withLatency ? ['latency'] : [])].map(String),
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  endWithUs(child)
  const closed = once(child, 'close')
  // Then it says how far it has come.
  const deadline = lines === 0 ? undefined : setTimeout(() => child.stdin.end(), READ_DEADLINE_MS)
  let last = ''
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'connected') {
      await options.onConnected?.()
      if (options.messages) await writeFile(file, `${(await options.messages()).join('\n')}\n`)
      child.stdin.write('go\n')
    } else if (line === 'ready') {
      await options.onReady?.()
      if (lines === 0) child.stdin.end()
    } else last = line
  }
  await closed
  clearTimeout(deadline)
  // Safe: our own program's line.
  const read = (last === '' ? { least: -1 } : JSON.parse(last)) as Read
  if (read.least < lines) throw new Error(`${read.least} of ${lines} lines: ${path} on ${port}, ${text.slice(0, 200)}`)
  return read
}

const request = (params: object): string => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execute', params })

/** A run of the printer, watched by the socket that asked for it. */
export const watchRun = (
  bench: Bench,
  service: Service,
  order: Order,
  options: { connections?: number; withLatency?: boolean } = {},
): Promise<Read> =>
  readSockets(bench, {
    port: service.port,
    path: '/ws',
    token: service.token,
    lines: order.lines,
    end: '"subscription.closed"',
    message: () => request({ prompt: toPrompt(order) }),
    ...options,
  })

export const subscribeMessage = (executionId: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'execution.subscribe', params: { executionId } })

export interface Load {
  readonly answered: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface LoadOptions {
  readonly ports: readonly number[]
  readonly connections?: number
  readonly seconds?: number
  readonly count?: number
  readonly method?: string
  readonly path: string
  readonly token?: string
  readonly body?: string
  readonly headers?: string
  readonly idsIn?: string
  readonly idsOut?: string
}

async function writeRequest(
  bench: Bench,
  {
    method = 'GET',
    path,
    token,
    body,
    headers = '',
    version = '1.1',
  }: Omit<LoadOptions, 'ports'> & { version?: string },
): Promise<string> {
  const file = join(bench.folder, `request-${(requestCount += 1)}`)
  const head = [
    `${method} ${path} HTTP/${version}`,
    `Host: ${BENCH_HOST}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(headers === '' ? [] : [headers]),
    ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
  ]
  await writeFile(file, `${head.join('\r\n')}\r\n\r\n${body ?? ''}`)
  return file
}

/** @throws Error where an answer is no success */
export async function load(bench: Bench, options: LoadOptions): Promise<Load> {
  const { ports, connections = 1, seconds = 0, count = 0, idsIn = '', idsOut = '' } = options
  const file = await writeRequest(bench, options)
  const args = ['load', ports.join(','), connections, seconds, count, file, idsIn, ...(idsOut === '' ? [] : [idsOut])]
  const output = await run(bench.programs['http-load'], args.map(String))
  // Safe: our own program's line.
  const { refused, ...answer } = JSON.parse(output) as Load & { refused: number }
  if (refused > 0) throw new Error(`${refused} of ${answer.answered} requests to ${options.path} were refused`)
  return answer
}

export interface ReadBack {
  readonly lines: number
  readonly bytes: number
  readonly seconds: number
}

/** One answer to its end, or page after page. */
export async function readBack(
  bench: Bench,
  how: 'read' | 'pages',
  options: { port: number; path: string; token?: string; headers?: string },
): Promise<ReadBack> {
  // By 1.0 an answer of unknown length comes as it is, without the borders of chunks in the midst of a line.
  const file = await writeRequest(bench, { ...options, version: how === 'read' ? '1.0' : '1.1' })
  // Safe: our own program's line.
  return JSON.parse(await run(bench.programs['http-load'], [how, String(options.port), file])) as ReadBack
}

/** A call by hand, where its time does not matter. */
export async function call<Answer>(
  service: Service,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${service.port}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${service.token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 500)}`)
  // Safe: whoever asks knows what it asks for.
  return JSON.parse(text) as Answer
}

/** A run to its end, by one request. @throws Error where it does not succeed */
export async function runToEnd(service: Service, prompt: string, more: object = {}): Promise<string> {
  const body = { prompt, ...more }
  const answer = await call<{ id: string; status: string }>(service, '/execute', body, { prefer: 'wait=60' })
  if (answer.status !== 'succeeded')
    throw new Error(`a run of ${service.checkout.title} ended as ${answer.status}`, { cause: answer })
  return answer.id
}
