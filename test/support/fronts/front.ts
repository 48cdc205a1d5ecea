// A front that runs, with its block from deployment/PROXIES.md, and requests through it.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request as plainRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2'
import { request as secureRequest } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { spawnWatched } from '../processes.js'
import { unpackPackages } from './packages.js'
import { fillIn, type Front } from './programs.js'
import { once, until } from '../deadlines.js'

const page = readFileSync('deployment/PROXIES.md', 'utf8')
const MODULES = /^a2enmod (.*)$/m.exec(page)?.[1]?.split(' ') ?? []

/** A block of the page, by its language. */
export function blockOf(name: string): string {
  const block = new RegExp('^```' + name + '\\n([\\s\\S]*?)^```$', 'm').exec(page)?.[1]
  if (block === undefined) throw new Error(`the page has no block ${name}`)
  return block
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly json: ReturnType<typeof JSON.parse>
}

export interface RunningFront {
  readonly url: string
  readonly ca: Buffer | undefined
  send(method: string, path: string, headers?: OutgoingHttpHeaders, body?: string | Buffer): Promise<IncomingMessage>
  ask(method: string, path: string, headers?: OutgoingHttpHeaders, body?: string | Buffer): Promise<Reply>
  /** One request by HTTP/2. */
  stream(path: string, headers?: OutgoingHttpHeaders): Promise<ClientHttp2Stream>
}

/** Ports that are free now: the service must know them before the fronts are there. */
export async function findPorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  const ports: number[] = []
  for (const server of servers) {
    if (!server.listening) await once(server, 'listening')
    ports.push((server.address() as AddressInfo).port)
  }
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** @returns the file that holds both, as the page says, and the certificate alone */
export function makeCertificate(folder: string): { readonly pem: string; readonly certificate: string } {
  const [key, certificate, pem] = ['key', 'certificate', 'both'].map((name) => join(folder, `${name}.pem`)) as [
    string,
    string,
    string,
  ]
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost']
  const names = ['-addext', 'subjectAltName=DNS:localhost', '-days', '2', '-keyout', key, '-out', certificate]
  execFileSync('openssl', ['req', '-x509', ...what, ...names], { stdio: 'pipe' })
  writeFileSync(pem, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o644 })
  return { pem, certificate }
}

export interface FrontOptions {
  readonly folder: string
  readonly port: number
  /** The port of the service. */
  readonly target: number
  readonly pem: string
  /** Instead of the page's block. */
  readonly block?: string
  readonly tls?: boolean
  /** Below which it serves. */
  readonly path?: string
  /** What its block reads of the environment. */
  readonly variables?: NodeJS.ProcessEnv
}

/** Started in the foreground, gone with the test. */
export async function startFront(t: Test, front: Front, options: FrontOptions): Promise<RunningFront> {
  const { port, target, pem, block = blockOf(front.name), tls = front.speaks.tls, path = '' } = options
  const unpacked = await unpackPackages(front.packages, front.program)
  if (typeof unpacked === 'string') throw new Error(unpacked)
  const folder = join(options.folder, `${front.name}-${port}`)
  mkdirSync(folder)
  // Some give up their rights and write there.
  chmodSync(folder, 0o777)
  const place = { folder, root: unpacked.root, port, target, pem, modules: MODULES }
  const filled = fillIn(block, place)
  const config = join(folder, 'config')
  writeFileSync(config, front.around?.(filled, place) ?? filled)
  const env = { PATH: process.env['PATH'], HOME: folder, ...unpacked.env, ...options.variables }
  const child = spawnWatched(t, [`${unpacked.root}/${front.program}`, ...front.args(config, place)], env, folder)
  // What it shares with others (memory, semaphores) goes only with an end in order.
  t.teardown(async () => {
    child.kill('SIGTERM')
    await child.ended
  })
  let isOver = false
  void child.ended.then(() => (isOver = true))
  const running = speakTo(`${tls ? 'https' : 'http'}://localhost:${port}`, tls ? readFileSync(pem) : undefined)
  const answers = () =>
    running.ask('GET', `${path}/health`).then(
      ({ status }) => status === 200,
      () => false,
    )
  // That it listens is not enough: Apache opens its sockets twice.
  await until(async () => isOver || (await answers()), `${front.name} answers`)
  if (isOver) throw new Error(`${front.name} ended: ${child.stdout()}${child.stderr()}`)
  return running
}

function speakTo(url: string, ca: Buffer | undefined): RunningFront {
  const send: RunningFront['send'] = async (method, path, headers = {}, body) => {
    const options = { method, headers, ca, agent: false as const, family: 4 }
    const request = (ca ? secureRequest : plainRequest)(url + path, options).end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    // The rest of a body that was refused.
    request.on('error', () => {})
    return response
  }
  return {
    url,
    ca,
    send,
    async ask(...asked) {
      const response = await send(...asked)
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks)
      const isJson = /json/.test(response.headers['content-type'] ?? '') && !response.headers['content-encoding']
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body,
        json: isJson && body.length > 0 ? JSON.parse(body.toString()) : undefined,
      }
    },
    async stream(path, headers = {}) {
      const session = connectHttp2(url, ca ? { ca } : {})
      const stream = session.request({ ':path': path, ...headers })
      stream.on('close', () => session.close())
      return stream
    },
  }
}
