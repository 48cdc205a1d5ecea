// Servers of repositories on the loopback: git's own programs, as their manuals start them.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { once, until } from '../support/deadlines.js'

const run = promisify(execFile)
export type Teardown = { teardown(fn: () => Promise<void>): void }

/** Whether git's package has brought it. */
export const hasGitProgram = async (name: string): Promise<boolean> =>
  run('sh', ['-c', `test -x "$(git --exec-path)/git-${name}"`]).then(
    () => true,
    () => false,
  )

export interface HttpServer {
  readonly url: string
  /** Of each request: whether it proved who it is. */
  readonly seen: Array<{ readonly path: string; readonly isAllowed: boolean }>
}

/** `git http-backend` for all below a folder, behind a name and a password. */
export async function openHttpServer(
  t: Teardown,
  root: string,
  {
    user,
    password,
    files = new Map(),
    obstacle,
  }: {
    readonly user: string
    readonly password: () => string
    /** Of Git LFS. */
    readonly files?: Map<string, Buffer>
    /** Whether a request is dealt with otherwise. */
    readonly obstacle?: (request: IncomingMessage, response: ServerResponse) => boolean
  },
): Promise<HttpServer> {
  const seen: HttpServer['seen'] = []
  const server = createServer((request, response) => {
    const proof = `Basic ${Buffer.from(`${user}:${password()}`).toString('base64')}`
    const isAllowed = request.headers.authorization === proof
    const path = request.url ?? ''
    seen.push({ path, isAllowed })
    if (obstacle?.(request, response)) return
    if (path.startsWith('/store/') || (isAllowed && path.includes('/info/lfs/')))
      return serveFiles(files, request, response)
    if (isAllowed) return serveByCgi(root, user, request, response)
    request.resume()
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  // Safe: it listens on TCP.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

function serveByCgi(root: string, user: string, request: IncomingMessage, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      GIT_PROTOCOL: request.headers['git-protocol']?.toString(),
      REMOTE_USER: user,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => undefined)
  request.pipe(child.stdin)
  let head: Buffer | undefined = Buffer.alloc(0)
  child.stdout.on('data', (chunk: Buffer) => {
    if (head === undefined) return void response.write(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const fields = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(/: ?/, 2) as [string, string])
    const status = fields.find(([name]) => name === 'Status')?.[1]
    response.writeHead(
      Number(status?.slice(0, 3) ?? 200),
      Object.fromEntries(fields.filter(([name]) => name !== 'Status')),
    )
    response.write(head.subarray(end + 4))
    head = undefined
  })
  child.stdout.on('end', () => response.end())
}

/** Git LFS' batch interface and its store: each file for a ticket, which the batch gives to whoever proved himself. */
function serveFiles(store: Map<string, Buffer>, request: IncomingMessage, response: ServerResponse): void {
  const [ticket, path] = ['Ticket for the store', request.url ?? '']
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    const body = Buffer.concat(pieces)
    const oid = path.slice(path.lastIndexOf('/') + 1)
    if (path.startsWith('/store/')) {
      if (request.headers.authorization !== ticket) return void response.writeHead(403).end()
      if (request.method === 'PUT') store.set(oid, body)
      return void response.writeHead(200).end(request.method === 'PUT' ? '' : store.get(oid))
    }
    // Safe: git-lfs has written it.
    const { operation, objects } = JSON.parse(body.toString()) as {
      readonly operation: 'upload' | 'download'
      readonly objects: ReadonlyArray<{ readonly oid: string; readonly size: number }>
    }
    const answer = objects.map((object) => {
      const isThere = store.has(object.oid)
      if (operation === 'download' && !isThere) return { ...object, error: { code: 404, message: 'not here' } }
      const href = `http://${request.headers.host}/store/${object.oid}`
      return isThere && operation === 'upload'
        ? object
        : { ...object, actions: { [operation]: { href, header: { Authorization: ticket } } } }
    })
    response.writeHead(200, { 'content-type': 'application/vnd.git-lfs+json' })
    response.end(JSON.stringify({ transfer: 'basic', objects: answer }))
  })
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(() => resolve(true)))
    socket.on('error', () => resolve(false))
  })

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** `git daemon`, which knows nobody and takes pushes. */
export async function openDaemon(t: Teardown, root: string): Promise<string> {
  const port = await freePort()
  const execPath = (await run('git', ['--exec-path'])).stdout.trim()
  const options = ['--reuseaddr', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${root}`, '--export-all']
  const child = spawn(`${execPath}/git-daemon`, [...options, '--enable=receive-pack', root], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
    },
  })
  t.teardown(() => end(child))
  await until(() => answers(port), 'git daemon listens')
  return `git://127.0.0.1:${port}`
}
