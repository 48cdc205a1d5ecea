// What is a secret, and that it is found wherever it stands: in text, in JSON, cut by the deltas of a stream.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { createDeltaMask } from '../../src/claude/stream/delta-mask.js'
import { createTranslator } from '../../src/claude/stream/translate-message.js'
import { createSecretMask, MASKED } from '../../src/platform/secret-mask.js'
import { secretsOf, secretsOfEnvironment } from '../../src/platform/secret-values.js'
import { openRandom } from '../faults/random.js'

void t.test('what is plainly no secret is left, all else of eight characters or more is one', async (t) => {
  const plain = ['true', '1', 'short', 'production', 'eu-central-1', '/usr/lib/jvm/java-17:/opt/x', 'en_US.UTF-8']
  const alsoPlain = ['https://registry.test/x', 'application/json, text/event-stream', '2026-11-29', 'Europe/Berlin']
  for (const value of [...plain, ...alsoPlain]) t.same(secretsOf('FOO', value, 'any'), [], value)
  for (const [name, value, secret] of [
    ['FOO', 's3cr3tValue99', 's3cr3tValue99'],
    ['DB_PASSWORD', 'swordfish', 'swordfish'],
    ['X', 'postgres://me:pa%24sword1@db/x', 'pa$sword1'],
    ['X', 'https://h.test/?api_key=abcdefgh1', 'abcdefgh1'],
    ['Authorization', 'Bearer abcdefghijk', 'abcdefghijk'],
    ['Authorization', `Basic ${Buffer.from('me:hunter2hunter2').toString('base64')}`, 'hunter2hunter2'],
    ['PEM', '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END KEY-----', 'MIIEvQIBADANBgkqhkiG9w0BAQ'],
    ['SA', '{"type":"service_account","client_secret":"abcdefgh1"}', 'abcdefgh1'],
  ] as const)
    t.ok(secretsOf(name, value, 'any').includes(secret), `${name}=${value}`)
  t.same(secretsOf('DB_PASSWORD', 'seven77', 'any'), [], 'shorter values would be found by chance')
  const environment = {
    ANTHROPIC_API_KEY: 'key-of-the-operator',
    HTTPS_PROXY: 'http://me:proxy-password@proxy.test:3128',
    ANTHROPIC_CUSTOM_HEADERS: 'X-Gateway: gateway-value-1\nAccept: text/html',
    CC_EXECUTOR_CREDENTIAL: 'team-account-number-one',
    CC_EXECUTOR_TOKENS: 'ci=token-of-ci-123456:execute,ops=token-of-ops-12345',
    SSH_AUTH_SOCK: '/tmp/ssh-abcdefgh/agent.12',
    EXTRA: 'extra-value-of-the-operator',
    OTHER: 'other-value-of-the-machine',
  }
  const basic = Buffer.from('me:proxy-password').toString('base64')
  t.same(
    new Set(secretsOfEnvironment(environment, ['EXTRA'])),
    new Set([
      'key-of-the-operator',
      'proxy-password',
      basic,
      'gateway-value-1',
      'token-of-ci-123456',
      'token-of-ops-12345',
      'extra-value-of-the-operator',
    ]),
  )
})

const SECRET = 'pa"ss\\wörd-12345'

void t.test('a secret is found as it stands in text, in JSON and in JSON within JSON', async (t) => {
  const mask = createSecretMask([SECRET])
  t.equal(mask.text(`a ${SECRET} b`), `a ${MASKED} b`)
  let form = SECRET
  for (let depth = 0; depth <= 3; depth += 1) {
    t.equal(mask.text(`a ${form} b`), `a ${MASKED} b`, `cut out of JSON, ${depth} deep`)
    form = JSON.stringify(form).slice(1, -1)
  }
  t.equal(mask.text(`a ${encodeURIComponent(SECRET)} b`), `a ${MASKED} b`, 'in a URL')
  const inner = JSON.stringify({ x: `${SECRET}!` })
  const line = { type: 'user', message: { content: [{ text: SECRET, [SECRET]: inner }] }, n: 12_345_678 }
  const masked = JSON.parse(mask.line(JSON.stringify(line)))
  t.same(masked, {
    type: 'user',
    message: { content: [{ text: MASKED, [MASKED]: `{"x":"${MASKED}!"}` }] },
    n: 12_345_678,
  })
  const clean = '{ "type" : "user", "n": 1e2 }'
  t.equal(mask.line(clean), clean, 'other lines keep their bytes')
  t.equal(mask.line(`no JSON ${SECRET}`), `no JSON ${MASKED}`)
  t.equal(
    mask.text('sk-ant-oat01-abcdefghijklmnopqrst.'),
    `${MASKED}.`,
    'a login that was renewed is known by its form',
  )
  const numbers = createSecretMask(['12345678', 'assistant'])
  t.equal(numbers.line('{"type":"assistant","n":12345678}'), '{"type":"assistant","n":12345678}', 'JSON stays JSON')
})

void t.test('the log holds none', async (t) => {
  const logger = JSON.stringify(new URL('../../src/platform/logger.js', import.meta.url))
  const mask = JSON.stringify(new URL('../../src/platform/secret-mask.js', import.meta.url))
  const script =
    `const { createLogger } = await import(${logger}), { createSecretMask } = await import(${mask})\n` +
    `createLogger('info', 'x', createSecretMask([${JSON.stringify(SECRET)}]))` +
    `.error({ err: Object.assign(new TypeError(${JSON.stringify(`it said ${SECRET}`)}), ` +
    `{ code: 'E_OLD', command: { name: 'hset', args: ['a prompt'] }, cause: new Error('cause') }) }, 'failed')`
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  // Safe: a line of pino's.
  const { err, msg } = JSON.parse(stderr) as { err: object; msg: string }
  t.match(
    { err, msg },
    { err: { type: 'TypeError', message: `it said ${MASKED}: cause`, code: 'E_OLD' }, msg: 'failed' },
  )
  t.match(err, { stack: /caused by: Error: cause/ })
  t.notMatch(stderr, 'a prompt', 'nor what a command of Redis was sent with, which its errors carry')
})

const delta = (kind: string, field: string, text: string): string =>
  JSON.stringify({
    type: 'stream_event',
    event: { type: 'content_block_delta', index: 0, delta: { type: kind, [field]: text } },
    parent_tool_use_id: null,
  })
const event = (type: string, more: object = {}): string =>
  JSON.stringify({ type: 'stream_event', event: { type, ...more }, parent_tool_use_id: null })

function stream(secrets: readonly string[], pieces: readonly string[], kind = 'text_delta', field = 'text') {
  const translator = createTranslator({ partialText: true, rawPartials: true, mask: createSecretMask(secrets) })
  const lines = [
    event('message_start', { message: { id: 'm' } }),
    ...pieces.map((text) => delta(kind, field, text)),
    event('content_block_stop', { index: 0 }),
    event('message_stop'),
  ]
  const events = [
    ...lines.flatMap((line) => translator.translate({ kind: 'line', bytes: Buffer.from(line) })),
    ...translator.end(),
  ]
  const told = events.flatMap((one) => (one.type === 'text.delta' ? one.data.text : [])).join('')
  const raw = events.flatMap((one) => {
    const message = 'rawMessage' in one ? JSON.parse(one.rawMessage) : undefined
    return message?.event?.delta?.[field] ?? []
  })
  return { told, raw: raw.join(''), pieces: raw as string[] }
}

void t.test('a secret that deltas cut anywhere is masked, and all other text arrives as it was', async (t) => {
  const cut = stream(['s3cr3t-value-1'], ['a s3', 'cr3t', '-val', 'ue-1 and s3', 'cond'])
  t.equal(cut.raw, `a ${MASKED} and s3cond`)
  t.same(cut.pieces.slice(0, 2), ['a ', ''], 'nothing of it is told before it is known')
  t.equal(
    stream(['s3cr3t-value-1'], ['it ends s3cr3t-v']).raw,
    'it ends s3cr3t-v',
    'what is held back is told at the end',
  )
  const input = JSON.stringify({ command: `echo ${SECRET}` })
  const halves = [input.slice(0, 20), input.slice(20)]
  t.equal(stream([SECRET], halves, 'input_json_delta', 'partial_json').raw, `{"command":"echo ${MASKED}"}`)

  const secrets = ['s3cr3t-value-1', 's3cr3t-value-12', 'abababab', SECRET]
  const parts = [...secrets, 's3cr3t', 'ab', 'b', ' sk-ant-api03-0123456789abcdef', 'ü', ' ', '-', '12']
  const mask = createSecretMask(secrets)
  for (let seed = 1; seed <= 2_000; seed += 1) {
    const random = openRandom(String(seed))
    const text = Array.from({ length: random.between(0, 12) }, () => random.pick(parts)).join('')
    const cuts = Array.from({ length: random.between(0, 12) }, () => random.between(0, text.length + 1))
    const at = [0, ...cuts.sort((a, b) => a - b), text.length]
    const { told, raw } = stream(
      secrets,
      at.slice(1).map((to, index) => text.slice(at[index], to)),
    )
    // Of a key that is known by its form alone the first two characters may be told already.
    const shown = raw.replaceAll(/sk?\[masked\]/g, MASKED)
    if (raw === told && shown === mask.text(text)) continue
    t.same({ told, shown }, { told: raw, shown: mask.text(text) }, `seed ${seed}: ${text}, cut at ${at.join(' ')}`)
    break
  }
})

void t.test('what one block holds back is continued by its own deltas only', async (t) => {
  const mask = createDeltaMask(createSecretMask([SECRET]))
  const pass = (index: number, parent: string | null, text: string): unknown => {
    const event = { index, delta: { type: 'text_delta', text } }
    return mask.pass('stream_event', { type: 'stream_event', parent_tool_use_id: parent, event })
  }
  const [begin, rest] = [SECRET.slice(0, 6), SECRET.slice(6)]
  const told = (text: string) => [{ event: { delta: { text } } }]
  t.match(pass(0, null, `a ${begin}`), told('a '))
  t.match(pass(1, null, rest), told(rest))
  t.match(pass(0, 'toolu_1', rest), told(rest))
  t.match(pass(0, null, `${rest} b`), told(`${MASKED} b`))
})
