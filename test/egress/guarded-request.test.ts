// Where a delivery may go: the address that was checked is the one that is connected to, and a private one is not
// connected to at all, however it is written and whatever leads to it.
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, Socket, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import {
  createAddressGuard,
  postGuarded,
  type GuardedRequestError,
  type LookUp,
} from '../../src/egress/guarded-request.js'
import { once } from '../support/deadlines.js'

/** What any socket of this process was asked to connect to. */
const connected: unknown[] = []
const { connect } = Socket.prototype
Socket.prototype.connect = function record(this: Socket, ...args: unknown[]) {
  connected.push(args)
  // Safe: handed on as it came.
  return (connect as (...all: unknown[]) => Socket).apply(this, args)
}

const EMBEDDED_V4 = ['127.0.0.1', '10.0.0.1', '169.254.169.254', '192.168.0.1', '172.16.0.1', '100.100.100.200']
const toHex = (address: string): [string, string] => {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)]
}
/** What embeds an IPv4 address in one of IPv6. */
const FORMS_OF_V6: ReadonlyArray<(address: string) => string> = [
  (address) => `[::ffff:${address}]`,
  (address) => `[::ffff:${toHex(address).join(':')}]`,
  (address) => `[0:0:0:0:0:ffff:${toHex(address).join(':')}]`,
  (address) => `[::${address}]`,
  (address) => `[::ffff:0:${address}]`,
  (address) => `[64:ff9b::${address}]`,
  (address) => `[64:ff9b:1::${toHex(address).join(':')}]`,
  (address) => `[2002:${toHex(address).join(':')}::]`,
  (address) => `[2002:${toHex(address).join(':')}::1]`,
  (address) => `[2001:0:${toHex(address).join(':')}::]`,
]
/** Loopback, metadata, private, and what is reserved, in every notation. */
const WRITTEN = `
  127.0.0.1 127.0.0.2 127.255.255.254 127.1 127.0.1 127.0.0.1. 127.1.
  2130706433 0x7f000001 0X7F000001 017700000001 0x7f.0x0.0x0.0x1 0x7f.1 0177.0.0.1
  0177.0000.0000.0001 127.0x0.0.01 0x7f.0.0.0x1 ①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 %31%32%37.0.0.1
  0 0.0.0.0 0x0 00000 0.1.2.3 [::] [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1]
  localhost LOCALHOST localhost. a.localhost Ⓛocalhost
  169.254.169.254 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 169.254.43518
  169.16689662 169.254.170.2 169.254.169.254. 100.100.100.200 168.63.129.16 192.0.0.192
  [fd00:ec2::254] [fd20:ce::254] [fe80::a9fe:a9fe] [fd00:c1::a9fe:a9fe]
  10.0.0.0 10.0.0.1 10.1 167772161 012.0.0.1 0xa.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255
  2886729729 0xac.0x10.1 192.168.0.1 192.168.1 3232235777 0xc0a80101 0300.0250.1.1
  100.64.0.1 100.127.255.255 169.254.0.1 [fc00::1] [fdff:ffff::1] [fe80::1] [febf::1] [fec0::1]
  224.0.0.1 239.255.255.255 255.255.255.255 240.0.0.1 198.18.0.1 192.0.2.1 198.51.100.1
  203.0.113.1 192.88.99.1 192.0.0.8 [ff02::1] [ff05::1:3] [100::1] [2001:db8::1] [3fff::1]
  [2001:10::1] [2001:2::1] [5f00::1] [4000::1] [8000::1]
`
const HOSTS = [
  ...WRITTEN.trim().split(/\s+/),
  ...EMBEDDED_V4.flatMap((address) => FORMS_OF_V6.map((form) => form(address))),
]
/** Names, with what they lead to: one inside is enough. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'loopback.example': ['127.0.0.1'],
  'metadata.example': ['169.254.169.254'],
  'private.example': ['10.1.2.3'],
  'mapped.example': ['::ffff:10.1.2.3'],
  'six.example': ['::1'],
  'scoped.example': ['fe80::1%lo'],
  'unique-local.example': ['fd00::1'],
  'nat64.example': ['64:ff9b::7f00:1'],
  'any.example': ['0.0.0.0'],
  'both.example': ['93.184.215.14', '127.0.0.1'],
  '127.0.0.1.nip.example': ['127.0.0.1'],
  'xn--lcalhost-54a.example': ['127.0.0.1'],
}
const lookUp: LookUp = async (name) => {
  const addresses = NAMES[name]
  if (addresses === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

const within = (milliseconds = 30_000): AbortSignal => AbortSignal.timeout(milliseconds)
const post = (url: string, guard = createAddressGuard([], lookUp), signal = within()) =>
  postGuarded(guard, { url, headers: {}, body: '{}', signal })

/** How a request failed. */
const failure = (asked: Promise<{ status: number }>): Promise<string> =>
  asked.then(
    ({ status }) => `answered ${status}`,
    ({ kind, message }: GuardedRequestError) => (/^E[A-Z]+$/.test(message) ? `${kind} ${message}` : kind),
  )

void t.test('no address inside is connected to, in whichever form', async (t) => {
  const urls = [...HOSTS, ...Object.keys(NAMES)].flatMap((host) => [`http://${host}/`, `https://${host}:8443/x?y`])
  t.ok(HOSTS.length + Object.keys(NAMES).length >= 150, `${HOSTS.length} forms and ${Object.keys(NAMES).length} names`)
  connected.length = 0
  const wrong: string[] = []
  for (const url of urls) {
    // What is refused takes no time; a few that are not are enough to see.
    const kind = await failure(post(url, undefined, within(1_000)))
    if (wrong.length > 2) break
    if (kind !== 'ADDRESS_NOT_ALLOWED') wrong.push(`${url}: ${kind}`)
  }
  t.same(wrong, [])
  t.same(connected, [], 'and no socket was asked for')
  t.equal(new Set(HOSTS).size, HOSTS.length, 'each once')
})

void t.test('what is public is let through, and no further than it is named what is not', async (t) => {
  const guard = createAddressGuard(['10.0.0.5:8080', '*.internal', '[::1]:9000'], async () => [
    { address: '10.9.9.9', family: 4 },
  ])
  const resolve = (url: string) =>
    guard.resolve(new URL(url)).then(
      (addresses) => addresses.map(({ address }) => address),
      (error: { kind?: string }) => error.kind,
    )
  for (const address of [
    '93.184.215.14',
    '8.8.8.8',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '11.0.0.1',
    '126.255.255.255',
  ])
    t.same(await resolve(`https://${address}/`), [address])
  for (const address of ['2606:2800:21f:cb07:6820:80da:af6b:8b2c', '2a00:1450:4001:830::200e', '2001:4860:4860::8888'])
    t.same(await resolve(`https://[${address}]/`), [address])
  t.same(await resolve('http://10.0.0.5:8080/'), ['10.0.0.5'])
  t.equal(await resolve('http://10.0.0.5/'), 'ADDRESS_NOT_ALLOWED', 'another port')
  t.same(await resolve('http://[::1]:9000/'), ['::1'])
  t.same(await resolve('http://hooks.internal/'), ['10.9.9.9'], 'a name that the operator has named')
  t.equal(await resolve('http://hooks.internal:81/'), 'ADDRESS_NOT_ALLOWED')
  t.equal(await resolve('http://other.example/'), 'ADDRESS_NOT_ALLOWED')
})

type Handler = Parameters<typeof createServer>[1]
async function listen(
  t: Test,
  server: Server | ReturnType<typeof createTcpServer>,
  host = '127.0.0.1',
): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

void t.test('a name that changes after it was looked at is connected to where it led then', async (t) => {
  const reached: string[] = []
  const answer =
    (which: string): Handler =>
    (_request, response) => {
      reached.push(which)
      response.end()
    }
  const port = await listen(t, createServer(answer('checked')), '127.0.0.2')
  const other = createServer(answer('rebound'))
  other.listen(port, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(async () => void other.close())
  const addresses = ['127.0.0.2', '127.0.0.1', '127.0.0.1']
  const asked: string[] = []
  const guard = createAddressGuard([`127.0.0.2:${port}`], async (name) => {
    asked.push(name)
    return [{ address: addresses.shift() ?? '', family: 4 }]
  })
  t.equal(await failure(post(`http://changes.example:${port}/`, guard)), 'answered 200')
  t.same([reached, asked], [['checked'], ['changes.example']])
  t.equal(await failure(post(`http://changes.example:${port}/`, guard)), 'ADDRESS_NOT_ALLOWED')
  t.same(reached, ['checked'], 'the next time it leads inside')
})

void t.test('a redirect is not followed; an answer is read to its end, or not beyond 64 KiB', async (t) => {
  const asked: string[] = []
  const port = await listen(
    t,
    createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.host}`)
      request.resume()
      switch (request.url) {
        case '/redirect':
          response.writeHead(307, { location: `http://127.0.0.1:${port}/inside` }).end()
          break
        case '/huge': {
          response.writeHead(200)
          const fill = (): void => {
            while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
            if (!response.destroyed) response.once('drain', fill)
          }
          fill()
          break
        }
        case '/half':
          response.writeHead(200, { 'content-length': '100' })
          response.write('half of it', () => response.destroy())
          break
        case '/slow':
          break
        default:
          response.writeHead(503, { 'retry-after': '7' }).end('busy')
      }
    }),
  )
  const named = createAddressGuard([`127.0.0.1:${port}`])
  const ask = (path: string, signal?: AbortSignal) => post(`http://127.0.0.1:${port}${path}`, named, signal)
  t.match(await ask('/redirect'), { status: 307 })
  t.match(await ask('/huge'), { status: 200 })
  t.match(await failure(ask('/half')), /^CONNECTION/)
  t.equal(await failure(ask('/slow', within(50))), 'TIMEOUT')
  t.match(await ask('/busy'), { status: 503, retryAfter: '7' })
  t.same(
    asked,
    ['/redirect', '/huge', '/half', '/slow', '/busy'].map((path) => `POST ${path} 127.0.0.1:${port}`),
  )
})

void t.test('what does not speak, is not there, or has no name is told apart', async (t) => {
  const port = await listen(
    t,
    createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
  )
  const named = createAddressGuard([`127.0.0.1:${port}`, '127.0.0.1:1'], lookUp)
  t.match(await failure(post(`http://127.0.0.1:${port}/`, named)), /^CONNECTION/)
  t.match(await failure(post(`https://127.0.0.1:${port}/`, named)), /^CONNECTION/)
  t.equal(await failure(post('http://127.0.0.1:1/', named)), 'CONNECTION ECONNREFUSED')
  t.equal(await failure(post('http://nowhere.example/', named)), 'NAME_NOT_FOUND ENOTFOUND')
  const silent = createAddressGuard([], () => new Promise(() => undefined))
  t.equal(await failure(post('http://silent.example/', silent, within(50))), 'TIMEOUT')
})
