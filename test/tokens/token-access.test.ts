// What an API process knows of tokens, and for how long it believes it: without a look at Redis as a rule, and never
// longer than said where messages are lost.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createLogger } from '../../src/platform/logger.js'
import { sha256 } from '../../src/platform/hash.js'
import type { Access } from '../../src/tokens/live-token.js'
import { toFields } from '../../src/tokens/stored-token.js'
import { BELIEVED_MS, openTokenAccess } from '../../src/tokens/token-access.js'
import { mintToken } from '../../src/tokens/token-id.js'
import { createTokenStore, type TokenStore } from '../../src/tokens/token-store.js'
import { openTestRedis } from '../support/redis.js'
import { once, until } from '../support/deadlines.js'

const { url } = await openTestRedis(t)

async function open(t: Test, { isDeaf = false } = {}) {
  const [redis, subscriber] = [new Redis(url), new Redis(url)]
  // As one whose messages are lost on the way.
  if (isDeaf) subscriber.subscribe = async () => 0
  const store = createTokenStore(redis, { prefix: 'cc', maxTokens: 100 })
  let reads = 0
  const counted: TokenStore = {
    ...store,
    async get(id) {
      reads += 1
      return store.get(id)
    },
  }
  const countListeners = async (): Promise<number> => Number((await redis.pubsub('NUMSUB', store.channel))[1])
  const before = await countListeners()
  const access = openTokenAccess({ store: counted, subscriber, logger: createLogger('silent', 'api') })
  t.teardown(() => {
    access.close()
    redis.disconnect()
    subscriber.disconnect()
  })
  if (!isDeaf) await until(async () => (await countListeners()) > before, 'it listens')
  return { access, store, redis, reads: () => reads }
}

async function make(store: TokenStore, more: { expiresAt?: string } = {}) {
  const minted = mintToken()
  const made = { sha256: sha256(minted.secret), createdAt: Date.now(), createdBy: 'test' }
  const fields = toFields({ name: 'x', scopes: ['read'], ...more }, made)
  await store.create({ id: minted.id, fields, key: undefined, digest: '' })
  return minted
}

const untilEnd = (access: Access | undefined): Promise<string> =>
  new Promise((resolve) => void access?.onEnd((why) => resolve(why)))

void t.test('a token is read once, and then known; a secret that is not its own never is', async (t) => {
  const { access, store, reads } = await open(t)
  const { id, secret } = await make(store)
  await Promise.all(Array.from({ length: 20 }, () => access.find(secret)))
  for (let count = 0; count < 20; count += 1) t.equal((await access.find(secret))?.caller.id, id)
  // Of the first look at the revision, and of the message that told of its making, one more each.
  t.ok(reads() <= 3, `${reads()} reads for 40 requests`)
  const before = reads()
  t.equal(await access.find(secret.replace(/.{4}$/, '____')), undefined)
  for (const wrong of [`${secret}x`, secret.toUpperCase(), '', 'x']) t.equal(await access.find(wrong), undefined)
  t.ok(reads() <= before + 2, 'and what cannot be a secret is not looked for')
})

void t.test('what another process does is in force as soon as it is told', async (t) => {
  const [{ access }, other] = [await open(t), await open(t)]
  const { id, secret } = await make(other.store)
  const ended = untilEnd(await access.find(secret))
  await other.store.remove(id)
  t.equal(await ended, 'revoked')
  t.equal(await access.find(secret), undefined)
})

void t.test('where messages are lost, a revocation is seen within five seconds', async (t) => {
  const { access, store } = await open(t, { isDeaf: true })
  const [revoked, kept] = [await make(store), await make(store)]
  const known = await access.find(kept.secret)
  const ended = untilEnd(await access.find(revoked.secret))
  await store.remove(revoked.id)
  const begun = performance.now()
  t.equal(await ended, 'revoked')
  t.comment(`after ${Math.round(performance.now() - begun)} ms`)
  t.equal(await access.find(revoked.secret), undefined)
  t.equal(known?.ended, undefined, 'and the others stay')
  t.equal(BELIEVED_MS, 5_000, 'as the manual says')
})

void t.test('without Redis nobody is let in whose token was not looked at lately', async (t) => {
  const { access, store, redis } = await open(t, { isDeaf: true })
  const { secret } = await make(store)
  redis.disconnect()
  await once(redis, 'end')
  await t.rejects(access.find(secret))
})

void t.test(
  'a token expires by Redis’ clock, as the scripts judge it, whatever this process’s clock says',
  async (t) => {
    const { now } = Date
    t.teardown(() => void (Date.now = now))
    const { access, store } = await open(t)
    const at = async (inMs: number) => ({ expiresAt: new Date((await store.time()) + inMs).toISOString() })
    const [long, over] = [await make(store, await at(600_000)), await make(store, await at(-1_000))]
    for (const wrongByMs of [3_600_000, -3_600_000]) {
      Date.now = () => now() + wrongByMs
      t.match(await access.find(long.secret), { ended: undefined }, 'there is time left')
      t.equal(await access.find(over.secret), undefined)
    }
  },
)

void t.test('a change while a token is read is not lost', async (t) => {
  const { access, store } = await open(t)
  for (let round = 0; round < 20; round += 1) {
    const { id, secret } = await make(store)
    const [found] = await Promise.all([access.find(secret), store.remove(id).then(() => access.apply('removed', id))])
    t.ok(found === undefined || found.ended !== undefined, 'whoever got it is told')
    t.equal(await access.find(secret), undefined)
  }
})
