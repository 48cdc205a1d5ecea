import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/platform/hash.js'
import { compactJson, toCanonicalJson } from '../../src/verification/canonical-json.js'
import { EventChain } from '../../src/verification/event-chain.js'
import { openGrantKey, type GrantKey } from '../../src/verification/grant-key.js'
import { signReceipt } from '../../src/verification/receipt.js'
import { toMarkdown } from '../../src/verification/receipt-markdown.js'
import {
  openSigningKey,
  parsePublicKey,
  readPublicKeys,
  toKeyId,
  verifySignature,
} from '../../src/verification/signing-key.js'
import { verifyReceipt } from '../../src/verification/verify-receipt.js'
import { Receipt, type ReceiptFacts } from '../../src/protocol/receipt.js'

const directory = await mkdtemp(join(tmpdir(), 'cce-receipts-'))
t.teardown(() => rm(directory, { recursive: true, force: true }))

const lines = [
  '{"seq":1,"type":"execution.queued","at":"2026-11-22T10:00:00.000Z","attempt":0,"data":{"position":1,"requestDigest":"aa"}}',
  '{"seq":2,"type":"execution.started","at":"2026-11-22T10:00:01.000Z","attempt":1,"data":{"argv":["claude","-p"]}}',
  '{"seq":3,"type":"claude.message","at":"2026-11-22T10:00:02.000Z","attempt":1,"data":{"message":{"type":"system","n":1.0,"text":"\\u00fc ' +
    'ü"}}}',
  '{"seq":4,"type":"execution.finished","at":"2026-11-22T10:00:03.000Z","attempt":1,"data":{"outcome":{"status":"succeeded","exitCode":0,"result":"Grüße"}}}',
]
const events = `${lines.join('\n')}\n`

function chainOf(texts: readonly string[]): EventChain {
  const chain = new EventChain()
  for (const text of texts) chain.add(text)
  return chain
}

const facts: ReceiptFacts = {
  executionId: '019aa6f2-7c1e-7a52-9f1d-0c8e5a4b3d21',
  requestDigest: sha256('request'),
  workspace: 'my|project `x`',
  attempt: 1,
  createdAt: '2026-11-22T10:00:00.000Z',
  startedAt: '2026-11-22T10:00:01.000Z',
  finishedAt: '2026-11-22T10:00:03.000Z',
  process: {
    workerId: 'host-1',
    claudeVersion: '2.1.197',
    sessionId: 'abc',
    model: 'opus',
    argv: ['claude', '-p', 'ümlaut \u0001'],
  },
  outcome: { status: 'succeeded', exitCode: 0, permissionDenials: 0 },
  result: { sha256: sha256('Grüße'), bytes: Buffer.byteLength('Grüße') },
  usage: {
    inputTokens: 1,
    outputTokens: 2,
    cacheReadTokens: 3,
    cacheCreationTokens: 4,
    costUsd: 0.25,
    turns: 1,
    durationMs: 900,
  },
  events: chainOf(lines).summary(),
  simulated: true,
}

const key = await openSigningKey(directory)
const text = signReceipt(facts, key)
const verify = (receipt: string, given: string | undefined = events) =>
  verifyReceipt({ receipt, keys: [key.jwk], keysAreComplete: true, ...(given !== undefined && { events: given }) })

void t.test('canonical JSON gives what the vectors of RFC 8785 demand', async (t) => {
  const double = (hex: string): number => Buffer.from(hex, 'hex').readDoubleBE()
  // Appendix B.
  const numbers: ReadonlyArray<readonly [string, string]> = [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ]
  for (const [hex, text] of numbers) t.equal(toCanonicalJson(double(hex)), text, hex)
  t.throws(() => toCanonicalJson(double('7fffffffffffffff')), 'NaN')
  t.throws(() => toCanonicalJson(double('7ff0000000000000')), 'Infinity')

  // Sections 3.2.2 and 3.2.4: literals, escapes, and the UTF-8 of the whole.
  const sample = JSON.parse(
    String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
  )
  t.equal(
    toCanonicalJson(sample),
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  )
  t.match(
    Buffer.from(toCanonicalJson(sample)).toString('hex'),
    /22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d$/,
  )

  // Section 3.2.3: names in order of their UTF-16 code units.
  const names = JSON.parse(
    String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`,
  )
  t.same(Object.values(JSON.parse(toCanonicalJson(names)) as object).length, 7)
  t.same(
    toCanonicalJson(names)
      .match(/:"([^"]+)"/g)
      ?.map((match) => match.slice(2, -1)),
    [
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ],
  )

  t.equal(
    toCanonicalJson(
      JSON.parse(
        '{"1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [ { } ], "A": { }}',
      ),
    ),
    '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
  )
  t.throws(() => toCanonicalJson('\ud800'), 'a lone surrogate')
  t.throws(() => toCanonicalJson({ a: [undefined] }), 'what is no JSON')
  t.equal(toCanonicalJson({ a: undefined, b: 1 }), '{"b":1}')
  t.equal(compactJson('{ "a b" :\t[ 1,\r\n"c \\" d" ] }'), '{"a b":[1,"c \\" d"]}')
})

void t.test('a receipt and its events fit each other', async (t) => {
  const report = verify(text)
  t.same(report.mismatches, [])
  t.same(
    report.checks.map(({ name, status }) => `${name} ${status}`),
    ['form pass', 'signature pass', 'key pass', 'events pass', 'result pass', 'files skip'],
  )
  t.equal(text, toCanonicalJson(JSON.parse(text)), 'it is canonical')
  t.ok(verify(JSON.stringify(JSON.parse(text), null, 2)).valid, 'white space between tokens is nobody’s claim')
  t.ok(verifyReceipt({ receipt: JSON.parse(text), keys: [key.jwk], keysAreComplete: true }).valid, 'without its text')
})

/** Every field with its path; arrays are one field. */
function leaves(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0)
    return [[...path]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, [...path, name]))
}

function alter(value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  if (typeof value === 'boolean') return !value
  if (typeof value === 'string') return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`
  if (Array.isArray(value)) return [...value.slice(0, -1), alter(value.at(-1))]
  throw new Error('no such field')
}

void t.test('one thing changed in any field is found and named', async (t) => {
  const paths = leaves(JSON.parse(text)).filter(([first]) => first !== 'signature')
  t.ok(paths.length > 50)
  for (const path of paths) {
    const receipt = JSON.parse(text)
    const last = path.at(-1) ?? ''
    // The names below `fields` are paths themselves and hold dots.
    const parent = path.slice(0, -1).reduce((object, name) => object[name], receipt)
    parent[last] = alter(parent[last])
    const { valid, mismatches } = verify(toCanonicalJson(receipt))
    t.notOk(valid, path.join('.'))
    t.ok(
      mismatches.some(({ name }) => name === path.join('.')),
      `${path.join('.')} is named: ${mismatches.map(({ name }) => name).join()}`,
    )
  }
  for (const name of ['algorithm', 'keyId', 'publicKey', 'value']) {
    const receipt = JSON.parse(text)
    receipt.signature[name] = alter(receipt.signature[name])
    const { mismatches } = verify(toCanonicalJson(receipt))
    t.ok(
      mismatches.some((mismatch) => mismatch.name.startsWith('signature')),
      name,
    )
  }
  const { mismatches } = verify(toCanonicalJson({ ...JSON.parse(text), approved: true }))
  t.same(
    mismatches.map(({ name }) => name),
    ['approved'],
    'a field that was added',
  )
  const { code: _code, ...without } = JSON.parse(text).outcome
  delete without.exitCode
  t.match(
    verify(toCanonicalJson({ ...JSON.parse(text), outcome: without })).mismatches,
    [{ name: 'outcome.exitCode' }],
    'a field that was left out',
  )
})

const ALL = process.env['CC_EXECUTOR_TEST_ALL'] === '1'

/** The bytes of every field's value in the canonical text, by the field's path. */
function spans(value: unknown, path = ''): Array<{ path: string; from: number; to: number }> {
  const found: Array<{ path: string; from: number; to: number }> = []
  const write = (part: unknown, at: number, name: string): number => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) {
      const to = at + Buffer.byteLength(toCanonicalJson(part))
      found.push({ path: name, from: at, to })
      return to
    }
    let position = at + 1
    for (const key of Object.keys(part).sort((a, b) => (a < b ? -1 : 1))) {
      position =
        write(
          (part as Record<string, unknown>)[key],
          position + Buffer.byteLength(JSON.stringify(key)) + 1,
          name === '' ? key : `${name}.${key}`,
        ) + 1
    }
    return position
  }
  write(value, 0, path)
  return found
}

void t.test('no byte of a receipt can be changed, and the field is named', async (t) => {
  const bytes = Buffer.from(text)
  const survivors: string[] = []
  const unnamed: string[] = []
  const fields = spans(JSON.parse(text))
  t.equal(
    bytes.subarray(fields.at(-1)?.from, fields.at(-1)?.to).toString(),
    JSON.stringify(facts.workspace),
    'the last field ends where it should',
  )
  for (let index = 0; index < bytes.length; index += 1) {
    for (const bit of ALL ? [0x01, 0x02, 0x04, 0x20, 0x80] : [[0x01, 0x20, 0x80][index % 3] ?? 1]) {
      const flipped = Buffer.from(bytes)
      flipped[index] = (flipped[index] ?? 0) ^ bit
      const { valid, mismatches } = verifyReceipt({ receipt: flipped, keys: [key.jwk], keysAreComplete: true })
      if (valid) survivors.push(`${index} ^ ${bit}`)
      const field = fields.find(({ from, to }) => index >= from && index < to)
      // A signature is one thing: any change of its key or value is a change of it.
      const isNamed = mismatches.some(
        ({ name }) => name === field?.path || (field?.path.startsWith('signature.') && name.startsWith('signature')),
      )
      if (field && !isNamed)
        unnamed.push(`${field.path} ^ ${bit} at ${index - field.from}: ${mismatches.map(({ name }) => name).join()}`)
    }
  }
  t.same(survivors, [])
  t.same(unnamed, [])
  const asObject = verifyReceipt({
    receipt: text.replace('"marks":[', '"marks":{'),
    keys: [key.jwk],
    keysAreComplete: true,
  })
  t.same(
    asObject.mismatches.map(({ name }) => name),
    ['events.marks'],
    'an array that has become an object has no names of its own',
  )
})

void t.test('no byte of an event can be changed, and the event is named', async (t) => {
  let at = 0
  for (const [index, line] of lines.entries()) {
    const size = Buffer.byteLength(line)
    for (let offset = 0; offset < size; offset += 1) {
      const flipped = Buffer.from(events)
      flipped[at + offset] = (flipped[at + offset] ?? 0) ^ 0x01
      const { mismatches } = verifyReceipt({ receipt: text, events: flipped, keys: [], keysAreComplete: false })
      if (!mismatches.some(({ name }) => name === `events.${index + 1}`))
        t.fail(`byte ${offset} of event ${index + 1}: ${JSON.stringify(mismatches)}`)
    }
    at += size + 1
  }
  t.match(
    verify(text, `${lines.slice(0, 3).join('\n')}\n`).mismatches,
    [{ name: 'events.count' }, { name: 'result' }],
    'the last one is missing',
  )
  t.match(verify(text, `${lines.join('\n')}\n${lines[3]}\n`).mismatches, [{ name: 'events.count' }], 'one too many')
  t.match(
    verify(text, [lines[0], lines[2], lines[1], lines[3]].join('\n')).mismatches,
    [{ name: 'events.2' }],
    'two exchanged',
  )
  t.match(verify(text, lines.join('\r\n')).mismatches, [{ name: 'events.1' }], 'other line ends')
  t.ok(verify(text, lines.join('\n')).valid, 'the last line end does not count')
})

void t.test('in a long log the stretch of a change is named', async (t) => {
  const many = Array.from(
    { length: 5_000 },
    (_, index) => `{"seq":${index + 1},"type":"output","data":{"data":"${'x'.repeat(index % 7)}"}}`,
  )
  const summary = chainOf(many).summary()
  t.ok(summary.marks.length <= 128)
  const receipt = signReceipt({ ...facts, events: summary }, key)
  const changed = [...many]
  changed[3_210] = changed[3_210]?.replace('output', 'outpux') ?? ''
  const [{ name } = { name: '' }] = verify(receipt, changed.join('\n')).mismatches
  const [from = 0, to = 0] = name.replace('events.', '').split('-').map(Number)
  t.ok(from <= 3_211 && to >= 3_211 && to - from < 100, name)
  changed[3_210] = 'no JSON'
  t.match(verify(receipt, changed.join('\n')).mismatches, [{ name: 'events.3211' }])
})

void t.test('text that says a thing twice, or is no receipt, is told so', async (t) => {
  t.match(
    verify(text.replace('"attempt":1', '"attempt":9,"attempt":1'), undefined).mismatches,
    [{ name: 'receipt' }],
    'a name twice: readers may take the first',
  )
  t.match(
    verify(text.replace('\\u0001', '\\u0001').replace('claude', '\\u0063laude'), undefined).mismatches,
    [{ name: 'receipt' }],
    'another spelling',
  )
  for (const bad of [
    '',
    '[]',
    'null',
    '{}',
    '{"signature":{}}',
    '"x"',
    `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    '{"a":"\\ud800"}',
  ]) {
    const report = verify(bad, undefined)
    t.notOk(report.valid, bad.slice(0, 20))
    t.ok(report.mismatches.length > 0)
  }
  t.match(verify(text, '').mismatches, [{ name: 'events.count' }, { name: 'result' }])
})

void t.test('whose key it is, is a check of its own', async (t) => {
  const other = await openSigningKey(await mkdtemp(join(directory, 'other-')))
  const forged = signReceipt({ ...facts, simulated: false }, other)
  t.match(verify(forged).mismatches, [{ name: 'signature.publicKey' }], 'well signed, by somebody else')
  const alone = verifyReceipt({ receipt: forged, keys: [key.jwk], keysAreComplete: false })
  t.ok(alone.valid)
  t.match(
    alone.checks.find(({ name }) => name === 'key'),
    { status: 'skip', detail: /known only from the receipt/ },
  )
  // A signature's spare bits: the same bytes in another spelling.
  const receipt = JSON.parse(text)
  const { value } = receipt.signature as { value: string }
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  receipt.signature.value = value.slice(0, -1) + alphabet[(alphabet.indexOf(value.at(-1) ?? '') & 0x30) | 0x0f]
  t.notOk(verify(toCanonicalJson(receipt)).valid)
})

void t.test('anybody with Ed25519 and RFC 8785 can check it', async (t) => {
  const { signature, ...rest } = JSON.parse(text)
  const { value, ...named } = signature
  t.ok(verifySignature(key.jwk.x, toCanonicalJson({ ...rest, signature: named }), value))
  // A verifier that shares no line with ours: OpenSSL.
  const files = {
    message: join(directory, 'message'),
    signature: join(directory, 'signature'),
    key: join(directory, 'key.pem'),
  }
  await writeFile(files.message, toCanonicalJson({ ...rest, signature: named }))
  await writeFile(files.signature, Buffer.from(value, 'base64url'))
  await writeFile(
    files.key,
    '-----BEGIN PUBLIC ' +
      `KEY-----\n${Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key.jwk.x, 'base64url')]).toString('base64')}\n-----END ` +
      `PUBLIC KEY-----\n`,
  )
  t.match(
    execFileSync('openssl', [
      'pkeyutl',
      '-verify',
      '-pubin',
      '-inkey',
      files.key,
      '-rawin',
      '-in',
      files.message,
      '-sigfile',
      files.signature,
    ]).toString(),
    /Verified Successfully/,
  )
})

void t.test('the secret for rights is made once, kept to its owner, and fits its own seals alone', async (t) => {
  const fresh = await mkdtemp(join(directory, 'grant-'))
  const path = join(fresh, 'receipt-keys', 'grant-key')
  const opened = await Promise.all(Array.from({ length: 8 }, () => openGrantKey(fresh)))
  t.equal(new Set(opened.map(({ kid }) => kid)).size, 1, 'eight at once have one')
  t.equal(statSync(path).mode & 0o777, 0o600)
  const [{ kid, seal, fits }] = opened as [GrantKey, ...GrantKey[]]
  t.equal(
    seal('text'),
    createHmac('sha256', await readFile(path))
      .update('text')
      .digest('base64url'),
  )
  t.ok(fits('text', seal('text')))
  t.notOk(fits('texts', seal('text')))
  t.notOk(fits('text', ''))
  t.notOk(fits('text', seal('text').slice(0, -4)), 'nor does a part of one')
  t.notOk(kid.includes((await readFile(path)).toString('base64url')), 'its name does not tell it')
  await chmod(path, 0o644)
  t.equal((await openGrantKey(fresh)).kid, kid, 'the same at the next start')
  t.equal(statSync(path).mode & 0o777, 0o600, 'a copy with wide permissions is closed')
  await writeFile(path, 'short')
  await t.rejects(openGrantKey(fresh), { name: 'ConfigError', message: /grant-key.*5 bytes.*delete it/ })
  await rm(path)
  t.not((await openGrantKey(fresh)).kid, kid)
})

void t.test('the key is made once, kept to its owner, and rotated by deleting it', async (t) => {
  const folder = join(directory, 'receipt-keys')
  t.equal(statSync(join(folder, 'signing-key.pem')).mode & 0o777, 0o600)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.same((await openSigningKey(directory)).jwk, key.jwk, 'the same at the next start')
  const publicFile = join(folder, `${key.jwk.kid}.public.json`)
  const before = statSync(publicFile)
  await openSigningKey(directory)
  t.match(
    statSync(publicFile),
    { ino: before.ino, mtimeMs: before.mtimeMs },
    'and no file is touched: a full disk would leave it empty',
  )
  const fresh = await mkdtemp(join(directory, 'race-'))
  const opened = await Promise.all(Array.from({ length: 8 }, () => openSigningKey(fresh)))
  t.equal(new Set(opened.map(({ jwk }) => jwk.kid)).size, 1, 'eight at once have one key')
  t.same((await readdir(join(fresh, 'receipt-keys'))).length, 2, 'and leave no draft behind')
  await chmod(join(fresh, 'receipt-keys', 'signing-key.pem'), 0o644)
  await openSigningKey(fresh)
  t.equal(
    statSync(join(fresh, 'receipt-keys', 'signing-key.pem')).mode & 0o777,
    0o600,
    'a copy with wide permissions is closed',
  )
  await rm(join(fresh, 'receipt-keys', 'signing-key.pem'))
  const rotated = await openSigningKey(fresh)
  t.not(rotated.jwk.kid, opened[0]?.jwk.kid)
  t.same(
    new Set((await readPublicKeys(fresh)).map(({ kid }) => kid)),
    new Set([rotated.jwk.kid, opened[0]?.jwk.kid]),
    'the old public key stays',
  )
  t.notMatch(await readFile(join(fresh, 'receipt-keys', `${rotated.jwk.kid}.public.json`), 'utf8'), /"d"|PRIVATE/)
  await writeFile(join(fresh, 'receipt-keys', 'signing-key.pem'), 'no key')
  await t.rejects(openSigningKey(fresh), { name: 'ConfigError', message: /signing-key\.pem.*delete it/ })
  await rm(join(fresh, 'receipt-keys'), { recursive: true })
  await writeFile(join(fresh, 'receipt-keys'), '')
  await t.rejects(
    openSigningKey(fresh),
    { name: 'ConfigError', message: /readable and writable/ },
    'what the disk refuses is no fault of the key',
  )
  t.equal(
    parsePublicKey(JSON.stringify({ ...key.jwk, kid: 'another' })),
    undefined,
    'a key under another’s name is none',
  )
  t.equal(parsePublicKey('nonsense'), undefined)
  t.same(await readPublicKeys(join(directory, 'nowhere')), [])
  t.equal(
    toKeyId('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'),
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    'RFC 8037, appendix A.3',
  )
})

void t.test('the Markdown is for people and cannot be steered by a run', async (t) => {
  const markdown = toMarkdown(Receipt.parse(JSON.parse(text)))
  t.match(markdown, /^# Receipt of 019aa6f2/)
  t.match(markdown, /simulated: a scripted model answered/)
  t.match(markdown, /\| workspace \| `` my\\\|project `x` `` \|/)
  t.match(markdown, /not that the answer is right/)
  const failed = toMarkdown(
    Receipt.parse(
      JSON.parse(
        signReceipt(
          { ...facts, outcome: { status: 'failed', code: 'CLAUDE_EXITED', exitCode: 1, permissionDenials: 2 } },
          key,
        ),
      ),
    ),
  )
  t.match(failed, /\*\*failed\*\* \(CLAUDE_EXITED, exit code 1\)/)
})

void t.test('the signing key is nowhere in what is signed', async (t) => {
  const pem = readFileSync(join(directory, 'receipt-keys', 'signing-key.pem'), 'utf8')
  const secret = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64').subarray(-32)
  t.notOk(text.includes(secret.toString('base64url')))
})
