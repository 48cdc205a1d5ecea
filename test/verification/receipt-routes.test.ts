// Receipts of real executions: however they end, over REST and offline with the command line.
import { execFile } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { unpackJson } from '../../src/platform/packed-json.js'
import { keyRoot } from '../../src/platform/redis.js'
import type { Execution } from '../../src/protocol/execution.js'
import { EventChain } from '../../src/verification/event-chain.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'

const BEGUN = { line: { type: 'system', subtype: 'init', session_id: 'scripted', model: 'none', cwd: '/' } }
/** With one that runs until it is ended. */
const FOR_EVER = JSON.stringify([BEGUN, { hang: true }])
const run = promisify(execFile)

const isAll = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const service = await openTestService(t)
const quick = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI, CC_EXECUTOR_CONCURRENCY: '1' } })

/** The command line, in another folder of its own: nothing of the service but what it is given. */
async function cli(args: string[], dataDir: string): Promise<{ code: number; out: string; err: string }> {
  const env = {
    PATH: process.env['PATH'],
    CC_EXECUTOR_DATA_DIR: dataDir,
    CC_EXECUTOR_URL: service.url(),
    CC_EXECUTOR_TOKEN: service.token,
  }
  return run(process.execPath, [CLI, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      out: error.stdout,
      err: error.stderr,
    }),
  )
}

const receiptOf = async ({ id }: Execution, at = service) => at.call('GET', `/executions/${id}/receipt`)
const exportOf = async ({ id }: Execution, at = service): Promise<string> =>
  (await at.call('GET', `/executions/${id}/events`, { headers: { accept: 'application/x-ndjson' } })).text

/** What Redis holds, which is what the chain was made of. */
async function storedEvents(id: string, at = service): Promise<Buffer[]> {
  const { Redis } = await import('ioredis')
  const redis = new Redis({ path: at.redis.url.slice('unix://'.length) })
  try {
    const entries = await redis.xrangeBuffer(`${keyRoot('cc')}:events:${id}`, '-', '+')
    return entries.map(([, [, batch]]) => unpackJson(batch ?? Buffer.alloc(0)))
  } finally {
    redis.disconnect()
  }
}

void t.test('an execution that succeeded has a receipt that holds, over REST and offline', async (t) => {
  const execution = await service.finished(
    (await service.submit({ prompt: scripted({ text: 'Grüße ✓ "quoted" \\ /slash' }), model: 'opus' })).id,
  )
  const { status, text, body: receipt, headers } = await receiptOf(execution)
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^application\/json/)
  t.match(receipt, {
    executionId: execution.id,
    attempt: 1,
    simulated: true,
    startedAt: execution.startedAt,
    finishedAt: execution.finishedAt,
    createdAt: execution.createdAt,
    usage: execution.usage,
    outcome: { status: 'succeeded', exitCode: 0, permissionDenials: 0 },
    process: { sessionId: execution.sessionId, workerId: execution.workerId, model: 'opus' },
    events: { count: execution.lastSeq },
  })
  const events = await exportOf(execution)
  t.same(
    Buffer.from(events),
    Buffer.concat((await storedEvents(execution.id)).flatMap((batch) => [batch, Buffer.from('\n')])),
    'what is delivered is what is stored, to the byte',
  )
  t.equal(events.trimEnd().split('\n').length, execution.lastSeq)
  const chain = new EventChain()
  for (const line of events.trimEnd().split('\n')) chain.add(line)
  t.same(chain.summary(), receipt.events)

  const keys = await service.call('GET', '/receipts/keys')
  t.match(keys.body.keys, [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      alg: 'EdDSA',
      use: 'sig',
      kid: receipt.signature.keyId,
      x: receipt.signature.publicKey,
    },
  ])
  const verified = await service.call('POST', '/receipts/verify', { body: { receipt: text, events } })
  t.same(verified.body, { valid: true, executionId: execution.id, checks: verified.body.checks, mismatches: [] })
  t.same(
    verified.body.checks.map(({ status }: { status: string }) => status),
    ['pass', 'pass', 'pass', 'pass', 'pass', 'skip'],
  )
  const forged = await service.call('POST', '/receipts/verify', {
    body: { receipt: { ...receipt, attempt: 2 }, events: events.replace('Grüße', 'Grüsse') },
  })
  t.equal(forged.body.valid, false)
  t.match(
    forged.body.mismatches.map(({ name }: { name: string }) => name),
    ['attempt', /^events\.\d+$/],
  )
  t.match((await service.call('POST', '/receipts/verify', { body: { receipts: text } })).body.code, 'INVALID_REQUEST')
  const unknown = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 0]))
  const stuffed = { ...(JSON.parse(text) as object), ...unknown(1_000) }
  for (const receipt of [stuffed, JSON.stringify(stuffed)]) {
    const { body } = await service.call('POST', '/receipts/verify', { body: { receipt } })
    t.match([body.valid, body.mismatches.length, body.errorCount >= 1_000], [false, 20, true])
  }
  const crowd = JSON.stringify(unknown(400_000))
  t.match((await service.call('POST', '/receipts/verify', { body: { receipt: crowd } })).body, {
    valid: false,
    mismatches: [{ name: 'receipt', detail: /more than 5000 members/ }],
    errorCount: 1,
  })

  const markdown = await service.call('GET', `/executions/${execution.id}/receipt`, {
    headers: { accept: 'text/markdown' },
  })
  t.match(markdown.headers.get('content-type'), /^text\/markdown/)
  t.match(markdown.text, new RegExp(`^# Receipt of ${execution.id}[^]*succeeded`))
  t.equal(
    (await service.call('GET', `/executions/${execution.id}/receipt`, { headers: { accept: 'image/png' } })).status,
    406,
  )

  const elsewhere = join(service.directory, 'elsewhere')
  const file = (name: string): string => join(service.directory, name)
  const printed = await cli(['receipt', execution.id], elsewhere)
  t.equal(printed.out, `${text}\n`, 'the command line prints it to the byte')
  t.match((await cli(['receipt', execution.id, '--markdown'], elsewhere)).out, /^# Receipt of/)
  await writeFile(file('receipt.json'), printed.out)
  await writeFile(file('events.jsonl'), events)
  await writeFile(file('keys.json'), keys.text)
  const offline = await cli(
    ['verify', file('receipt.json'), '--events', file('events.jsonl'), '--keys', file('keys.json')],
    elsewhere,
  )
  t.match(offline, {
    code: 0,
    out: /ok {4}signature[^]*ok {4}key[^]*ok {4}events[^]*is valid in everything that was checked/,
  })
  const workspace = join(service.config.workspaceRoot, execution.id)
  t.match(await cli(['verify', file('receipt.json'), '--workspace', workspace], elsewhere), {
    code: 0,
    out: /- {5}key +The key is known only from the receipt[^]*ok {4}files/,
  })
  await writeFile(join(workspace, 'later'), '')
  t.match(
    await cli(['verify', file('receipt.json'), '--workspace', workspace], service.config.dataDir),
    { code: 1, out: /ok {4}key[^]*mismatch: files\.after\.digest/ },
    'on the machine of the service its key is known',
  )
  await writeFile(file('keys.json'), '{"keys":[]}')
  t.match(await cli(['verify', file('receipt.json'), '--keys', file('keys.json')], elsewhere), {
    code: 1,
    out: /mismatch: signature\.publicKey/,
  })
  await writeFile(file('bad.json'), text.replace('"succeeded"', '"cancelled"'))
  const bad = await cli(['verify', file('bad.json'), '--events', file('events.jsonl'), '--json'], elsewhere)
  t.equal(bad.code, 1)
  t.match(JSON.parse(bad.out), { valid: false, mismatches: [{ name: 'outcome.status' }] })
  if (isAll) t.match(await cli(['verify'], elsewhere), { code: 2, err: /expected the file of one receipt/ })
  t.match(await cli(['verify', file('nowhere.json')], elsewhere), { code: 2, err: /cannot be read \(ENOENT\)/ })
  t.match(await cli(['verify', execution.id], elsewhere), {
    code: 2,
    err: new RegExp(`expected a file, not the id of an execution; .*receipt ${execution.id} > receipt.json`),
  })
  await t.rejects(stat(elsewhere), 'checking makes no folder and no key')
})

void t.test('executions that did not succeed have receipts that hold, too', async (t) => {
  const failed = await quick.submit({ prompt: '[{"exit":3}]' })
  const timedOut = await quick.submit({ prompt: FOR_EVER, timeoutSeconds: 0.5 })
  await quick.finished(timedOut.id)
  const cancelled = await quick.submit({ prompt: FOR_EVER })
  await quick.until(cancelled.id, 'claude.message')
  const queued = await quick.submit({ prompt: 'never' })
  t.match((await receiptOf(queued, quick)).body, { status: 409, code: 'NOT_FINISHED' })
  await quick.call('POST', `/executions/${queued.id}/cancel`, { body: { reason: 'no longer' } })
  await quick.call('POST', `/executions/${cancelled.id}/cancel`)
  for (const [{ id }, status, code] of [
    [cancelled, 'cancelled', 'CANCELLED'],
    [timedOut, 'timed_out', 'TIMED_OUT'],
    [failed, 'failed', 'CLAUDE_EXITED'],
    [queued, 'cancelled', 'CANCELLED'],
  ] as const) {
    const execution = await quick.finished(id)
    const { body: receipt, text } = await receiptOf(execution, quick)
    t.match(receipt.outcome, { status, code }, status)
    const { body } = await quick.call('POST', '/receipts/verify', {
      body: { receipt: text, events: await exportOf(execution, quick) },
    })
    t.same(body.mismatches, [], `${status}: it holds`)
    t.equal(receipt.events.count, execution.lastSeq)
  }
  t.equal((await receiptOf(queued, quick)).body.process, undefined, 'what never ran names no process')
})

void t.test('an execution whose worker was lost is concluded with a receipt by whoever finds it', async (t) => {
  const doomed = await quick.submit({ prompt: FOR_EVER })
  await quick.until(doomed.id, 'claude.message')
  // As if its worker had died: nobody holds the fence any more, and the lease is over.
  const { Redis } = await import('ioredis')
  const redis = new Redis({ path: quick.redis.url.slice('unix://'.length) })
  await redis
    .multi()
    .hset(`${keyRoot('cc')}:log:${doomed.id}`, 'fence', 'nobody')
    .zadd(`${keyRoot('cc')}:leases`, 1, doomed.id)
    .exec()
  redis.disconnect()
  const execution = await quick.finished(doomed.id)
  t.equal(execution.outcome?.code, 'WORKER_LOST')
  const { body: receipt, text } = await receiptOf(execution, quick)
  t.match(receipt, { outcome: { status: 'failed', code: 'WORKER_LOST' }, process: { sessionId: execution.sessionId } })
  const { body } = await quick.call('POST', '/receipts/verify', {
    body: { receipt: text, events: await exportOf(execution, quick) },
  })
  t.same(body.mismatches, [])
})

void t.test('the key is out of a run’s sight', async (t) => {
  const folder = join(quick.config.dataDir, 'receipt-keys')
  // A key's id may begin with any letter, so the order of the names is nothing to hold on to.
  t.same((await readdir(folder)).map((name) => name.replace(/^[^.]*(?=\.)/, '*')).sort(), [
    '*.pem',
    '*.public.json',
    'grant-key',
  ])
  const command = `{ cat ${folder}/signing-key.pem; cat ${folder}/grant-key; ls -a ${quick.config.dataDir}; } > seen 2>&1`
  const { id } = await quick.submit({ prompt: JSON.stringify([BEGUN, { tool: command }]), workspace: 'curious' })
  await quick.finished(id)
  const seen = await readFile(join(quick.config.workspaceRoot, 'curious', 'seen'), 'utf8')
  for (const name of ['signing-key.pem', 'grant-key']) t.match(seen, `${name}: No such file or directory`)
  t.notMatch(seen, /PRIVATE KEY/)
  t.match(await readFile(join(folder, 'signing-key.pem'), 'utf8'), /PRIVATE KEY/)
})

void t.test('a receipt is forgotten with its execution, and is nobody else’s', async (t) => {
  const { id } = await quick.finished((await quick.submit({ prompt: 'hello' })).id)
  t.equal((await quick.call('GET', `/executions/${id}/receipt`)).status, 200)
  t.match(
    (
      await quick.call('GET', `/executions/${id}/receipt`, {
        headers: { authorization: 'Bearer nobody-nobody-nobody' },
      })
    ).status,
    401,
  )
  t.equal((await quick.call('DELETE', `/executions/${id}`)).status, 204)
  t.match((await quick.call('GET', `/executions/${id}/receipt`)).body, { status: 404, code: 'EXECUTION_NOT_FOUND' })
  t.equal(
    (await quick.call('GET', `/executions/${id}/events`, { headers: { accept: 'application/x-ndjson' } })).status,
    404,
  )
})
