// `cc-executor send`, and what is typed while `run` goes on: what is sent, and what is said of it.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { openTalk } from '../../src/cli/talk.js'
import { sha256 } from '../../src/platform/hash.js'
import type { Message, MessageRequest } from '../../src/protocol/messages.js'
import { openCommandLine } from '../support/command-line.js'
import { makePng } from '../support/media.js'
import { openTestService } from '../support/service.js'
import { turns } from '../support/deadlines.js'

void t.test('send says something to an execution, or queues a follow-up', async (t) => {
  const service = await openTestService(t, { workers: 0 })
  const command = openCommandLine(t)
  const cli = (args: readonly string[], input = '') =>
    command(
      args,
      {
        CC_EXECUTOR_URL: service.url(),
        CC_EXECUTOR_TOKEN: service.token,
        CC_EXECUTOR_DATA_DIR: join(service.directory, 'elsewhere'),
      },
      input,
    )
  const { id } = await service.submit({ prompt: 'waits' })
  const list = async (): Promise<Message[]> => (await service.call('GET', `/executions/${id}/messages`)).body.messages
  t.match(await cli(['send', id, 'Use the other one.', '--idempotency-key', 'one']), {
    code: 0,
    stdout: /^Message \S+ is accepted/,
  })
  t.match(await cli(['send', id, 'Use the other one.', '--idempotency-key', 'one']), { code: 0 })
  const { stdout } = await cli(['send', '--json', id], 'And the other two.\n')
  t.match(JSON.parse(stdout), { executionId: id, status: 'accepted', text: 'And the other two.\n' })
  const followUp = await cli(['send', '--follow-up', id, 'Then go on.'])
  const [followUpId = ''] = followUp.stdout.split('\n')
  t.match((await service.call('GET', `/executions/${followUpId}`)).body, {
    waitingFor: 'session',
    request: { prompt: 'Then go on.' },
  })
  t.same(
    (await list()).map(({ text, delivery }) => [text, delivery]),
    [
      ['Use the other one.', 'steer'],
      ['And the other two.\n', 'steer'],
      ['Then go on.', 'follow_up'],
    ],
  )
  const [picture, text] = [join(service.directory, 'a picture'), join(service.directory, 'text.png')]
  await writeFile(picture, makePng())
  await writeFile(text, 'no picture')
  const shown = [{ mediaType: 'image/png', sha256: sha256(makePng()) }]
  const attached = await cli(['send', '--json', '--attach', picture, id, 'Look at this.'])
  t.match(JSON.parse(attached.stdout), { attachments: shown })
  const run = await cli(['run', '--detach', '--json', '--attach', picture, 'And at this.'])
  t.match(JSON.parse(run.stdout).request, { attachments: shown })
  for (const [file, wrong] of [
    [text, /--attach: .*text\.png is none of image\/png/],
    [service.directory, /is not a file/],
    ['missing', /ENOENT/],
  ] as const)
    t.match(await cli(['send', '--attach', file, id, 'x']), { code: 2, stderr: wrong })
  t.match(await cli(['show', followUpId]), { stdout: /waiting for its session/ })
  t.match(await cli(['cancel', id]), { code: 0 })
  t.match((await service.finished(followUpId)).outcome, { code: 'CANCELLED' })
  t.match(
    (await list()).map(({ status, reason }) => [status, reason]),
    [
      ['dropped', 'cancelled'],
      ['dropped', 'cancelled'],
      ['dropped', 'cancelled'],
      ['dropped', 'cancelled'],
    ],
  )
  t.match(await cli(['tail', id]), { stderr: /message from \S+: Use the other one\.[^]*was not read \(cancelled\)/ })
  t.match(await cli(['send', id, 'Too late?']), { code: 1, stdout: /dropped: the execution has ended/ })
  t.match(await cli(['send', '--follow-up', id, 'x']), { code: 1, stderr: /ended before it was started/ })
  for (const args of [['send'], ['send', id, 'a', 'b'], ['send', id, 'a', '--follow-up', '--or-follow-up']])
    t.match(await cli(args), { code: 2 })
})

void t.test('on a terminal each line is a message, in its order; elsewhere none is', async (t) => {
  const sent: MessageRequest[] = []
  let answer: () => void = () => undefined
  const client = {
    send: async (_id: string, message: MessageRequest) => {
      sent.push(message)
      await new Promise<void>((resolve) => (answer = resolve))
      return { status: 'accepted' } as Message
    },
  }
  const terminal = Object.assign(new PassThrough(), { isTTY: true })
  const end = openTalk(client, 'id', terminal)
  terminal.write('one\n\ntwo\nthree')
  const until = (count: number): Promise<void> => turns(() => sent.length >= count, `${count} are sent`)
  await until(1)
  t.same(sent, [{ text: 'one' }], 'the next one waits for the answer')
  answer()
  await until(2)
  t.same(sent.at(-1), { text: 'two' })
  end()
  t.ok(terminal.isPaused(), 'nothing keeps the process')
  const pipe = new PassThrough()
  openTalk(client, 'id', pipe)()
  t.equal(pipe.listenerCount('data'), 0, 'a pipe is left alone')
})
