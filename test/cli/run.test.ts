// `cc-executor run` as a process: its standard input, its exit code, Ctrl-C; the CLI is scripted.
import { spawn } from 'node:child_process'
import t from 'tap'
import { openCommandLine } from '../support/command-line.js'
import { CLI, SCRIPTED_CLI } from '../support/paths.js'
import { findLastingPort } from '../support/ports.js'
import { openTestService } from '../support/service.js'
import { once } from '../support/deadlines.js'
import { answer, HANGING, idIn, openCli, say } from './scene.js'

const runCommand = openCommandLine(t)
const service = await openTestService(t, { env: { CC_EXECUTOR_CLAUDE_BIN: SCRIPTED_CLI } })

void t.test('the prompt may come on standard input', async (t) => {
  const { run, start } = openCli(t, runCommand, service)
  const prompt = JSON.stringify([say('Heard: ü'), answer('Heard: ü')])
  t.match(await start(['run'], prompt).ended, { code: 0, stdout: 'Heard: ü\n' })
  t.match(await run(['run', '-'], prompt), { code: 0, stdout: 'Heard: ü\n' })
  t.match(await run(['run'], ''), { code: 2, stdout: '', stderr: /the prompt is empty/ })
  t.match(await run(['run', '-'], Buffer.from([0x68, 0xff])), { code: 2, stderr: /not UTF-8/ })
  t.match(await run(['run'], 'x'.repeat(4 * 1024 * 1024 + 1)), { code: 2, stderr: /longer than 4194304 bytes/ })
})

void t.test('the exit code tells the outcome', async (t) => {
  const { run, start } = openCli(t, runCommand, service)
  t.match(await start(['run', JSON.stringify([{ exit: 3 }])]).ended, {
    code: 1,
    stderr: /^failed \(\w+\): /m,
  })
  t.match(await start(['run', '--timeout', '1', HANGING]).ended, { code: 124, stderr: /^timed_out \(TIMED_OUT\): /m })

  const running = start(['run', HANGING])
  const [, id = ''] = await running.said(/execution ([0-9a-f-]{36})/)
  await running.said(/Well/)
  t.match(await run(['pause', id, '--reason', 'lunch']), { code: 0, stdout: `${id} pausing\n` })
  await running.said(/paused by \w+: lunch/)
  t.match(await run(['resume', id]), { code: 0, stdout: `${id} resuming\n` })
  await running.said(/resumed by/)
  t.match(await run(['cancel', id, '--reason', 'no more']), { code: 0, stdout: `${id} cancelling\n` })
  t.match(await running.ended, {
    code: 130,
    stdout: 'Well\n',
    stderr: /cancel requested by \w+: no more\ncancelled \(CANCELLED\)/,
  })
  t.match(await run(['cancel', id]), { code: 0, stdout: `${id} cancelled\n` })
  t.match(await run(['pause', id]), { code: 1, stderr: /finished/ })
  t.match(await run(['tail', id]), { code: 130, stdout: 'Well\n' })
})

void t.test('Ctrl-C cancels the execution and waits for its end', async (t) => {
  const running = openCli(t, runCommand, service).start(['run', HANGING])
  await running.said(/Well/)
  running.child.kill('SIGINT')
  const { code, stdout, stderr } = await running.ended
  t.same({ code, stdout }, { code: 130, stdout: 'Well\n' })
  t.match(stderr, /cancelling; Ctrl-C again exits immediately\n[^]*cancelled \(CANCELLED\)/)
  const execution = (await service.call('GET', `/executions/${idIn(stderr)}`)).body
  t.match(execution, { status: 'cancelled' }, 'it had ended when the command did')
})

void t.test('Ctrl-C while the service is away is remembered; a second one leaves at once', async (t) => {
  const port = await findLastingPort()
  const api = await service.openApi({ CC_EXECUTOR_PORT: String(port) })
  const cli = openCli(t, runCommand, service, api.url)
  const [leaving, staying] = [cli.start(['run', HANGING]), cli.start(['run', HANGING])]
  await Promise.all([leaving.said(/Well/), staying.said(/Well/)])
  await api.close()
  for (const { child } of [leaving, staying]) child.kill('SIGINT')
  await Promise.all([leaving.said(/Ctrl-C again/), staying.said(/Ctrl-C again/)])
  leaving.child.kill('SIGINT')
  const left = await leaving.ended
  t.equal(left.code, 130)
  await service.openApi({ CC_EXECUTOR_PORT: String(port) })
  const stayed = await staying.ended
  t.match(stayed, { code: 130, stderr: /cancelled \(CANCELLED\)/ })
  t.match(
    (await service.call('GET', `/executions/${idIn(left.stderr)}`)).body,
    { status: 'running' },
    'whoever leaves at once leaves it running',
  )
})

void t.test('--detach prints the id and leaves it running', async (t) => {
  const { run } = openCli(t, runCommand, service)
  const later = ['run', '--detach', '--idempotency-key', 'one', JSON.stringify([say('later'), answer('later')])]
  const { code, stdout, stderr } = await run(later)
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^[0-9a-f-]{36}\n$/)
  t.equal((await run(later)).stdout, stdout)
  t.match(await run(['tail', stdout.trim()]), { code: 0, stdout: 'later\n' })
})

void t.test('a reader that has enough ends tail without a word', async (t) => {
  const { id } = await service.submit({ prompt: JSON.stringify([say('line\n'.repeat(80_000)), answer('done')]) })
  await service.finished(id)
  const shell = spawn('bash', ['-c', `set -o pipefail; "$0" "$1" tail ${id} | head -1`, process.execPath, CLI], {
    env: { PATH: process.env['PATH'], CC_EXECUTOR_URL: service.url(), CC_EXECUTOR_TOKEN: service.token },
    // A socket as standard input would make bash read ~/.bashrc.
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  shell.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  shell.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = await once(shell, 'close')
  t.same({ code, stdout, stderr }, { code: 141, stdout: 'line\n', stderr: '' })
})
