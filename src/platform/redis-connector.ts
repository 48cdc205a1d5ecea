import { lookup, type LookupAddress } from 'node:dns'
import { createConnection, type LookupFunction } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { callbackify, promisify } from 'node:util'
import { AbstractConnector } from 'ioredis'
import { within } from './abort-signals.js'

/** An answer that was lost is waited for by the C library for 10 to 45 s, in a thread that files need as well. */
const DEADLINE_MS = 2_000
/** As ioredis has it. */
const DISCONNECT_MS = 2_000
/** So many threads may wait for one host at most; the images have 16 of them. */
const PENDING_LIMIT = 2

type Resolve = (host: string) => Promise<LookupAddress[]>
const resolveHost: Resolve = async (host) => promisify(lookup)(host, { all: true })

/**
 * A look-up with a deadline, shared by everybody who asks meanwhile. Where DNS is silent, what it has said before
 * counts: a Redis that has moved does not answer there, and the next connection asks again.
 */
export function createLookup(resolve: Resolve = resolveHost, deadlineMs = DEADLINE_MS): LookupFunction {
  const known = new Map<string, LookupAddress[]>()
  const pending = new Map<string, Promise<LookupAddress[]>[]>()
  function ask(host: string): Promise<LookupAddress[]> {
    const asked = pending.get(host) ?? []
    const last = asked.at(-1)
    if (last && asked.length >= PENDING_LIMIT) return last
    const answer = resolve(host)
    const settle = async (asking: Promise<LookupAddress[]>): Promise<void> => {
      try {
        known.set(host, await asking)
      } catch {
        // Whoever has asked is told.
      }
      pending.set(
        host,
        (pending.get(host) ?? []).filter((other) => other !== asking),
      )
    }
    pending.set(host, [...asked, answer])
    void settle(answer)
    return answer
  }
  async function find(host: string, family: number | string | undefined): Promise<LookupAddress[]> {
    let addresses: LookupAddress[] | undefined
    try {
      addresses = await within(deadlineMs, `looking up ${host}`, ask(host))
    } catch (error) {
      addresses = known.get(host)
      if (!addresses) throw error
    }
    const fitting = family === 4 || family === 6 ? addresses.filter((entry) => entry.family === family) : addresses
    if (fitting.length === 0) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
    return fitting
  }
  const findWithCallback = callbackify(find)
  return (host, { all, family }, done) =>
    findWithCallback(host, family, (error, addresses) => {
      const [first] = addresses ?? []
      if (error || !first) done(error, '')
      else if (all === true) done(null, addresses)
      else done(null, first.address, first.family)
    })
}

const lookupOfRedis = createLookup()

interface TcpSettings {
  readonly host: string
  readonly port: number
  readonly tls?: object
  readonly disconnectTimeout?: number
}

interface OpenSocket {
  readonly stream: NonNullable<AbstractConnector['stream']>
  readonly openedAt: number
}
/** By address; those of BullMQ too. */
const sockets = new Map<string, Set<OpenSocket>>()

const toKey = ({ host, port }: Pick<TcpSettings, 'host' | 'port'>): string => `${host}:${port}`

/** Closes whatever was opened to this address before that; who has it connects anew. */
export function closeSocketsBefore(address: Pick<TcpSettings, 'host' | 'port'>, time: number): void {
  for (const { stream, openedAt } of sockets.get(toKey(address)) ?? []) if (openedAt < time) stream.destroy()
}

/** ioredis' own takes no look-up. */
export class RedisConnector extends AbstractConnector {
  readonly #options: TcpSettings
  /** When the present connection was begun. */
  protected openedAt = 0

  /** Of ioredis: all that its caller has set. */
  constructor(options: unknown) {
    // Safe: redisOptions has made them.
    const settings = options as TcpSettings
    super(settings.disconnectTimeout ?? DISCONNECT_MS)
    this.#options = settings
  }

  override async connect(): Promise<NonNullable<AbstractConnector['stream']>> {
    const { host, port, tls } = this.#options
    this.connecting = true
    await Promise.resolve()
    if (!this.connecting) throw new Error('Connection is closed.')
    const to = { host, port, lookup: lookupOfRedis }
    this.stream = tls ? connectTls({ ...to, ...tls }) : createConnection(to)
    this.stream.once('error', (error) => {
      this.firstError = error
    })
    this.openedAt = performance.now()
    const opened: OpenSocket = { stream: this.stream, openedAt: this.openedAt }
    const open = sockets.get(toKey(this.#options)) ?? new Set()
    sockets.set(toKey(this.#options), open.add(opened))
    this.stream.once('close', () => open.delete(opened))
    return this.stream
  }
}
