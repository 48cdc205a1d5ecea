import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import t from 'tap'
import type { Test } from 'tap'

import { chooseContainment, countTagged } from '../../src/supervision/containment.js'
import { findContainmentPrograms } from '../../src/supervision/containment-command.js'
import type { Containment } from '../../src/supervision/containment-command.js'
import { EVIL_CHILD, EVIL_COUNT } from '../../src/supervision/evil-child.js'
import { descendantsOf, listProcesses, readProcess } from '../../src/supervision/process-tree.js'
import type { Sandbox } from '../../src/supervision/sandbox.js'
import { openSpawner } from '../../src/supervision/spawner.js'
import { startSupervised } from '../../src/supervision/supervised-process.js'
import type { SuperviseOptions, SupervisedProcess } from '../../src/supervision/supervised-process.js'
import { classifyStatus } from '../../src/supervision/warden-channel.js'
import { withLongerClocks } from '../support/longer-clocks.js'
import { until } from '../support/deadlines.js'

const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
// Of the tests' own PATH: what the system lacks stands in the cache, as set-up leaves it.
const programs = await findContainmentPrograms((process.env['PATH'] ?? '').split(':'))
const { tini: _tini, ...withoutTini } = programs
const containments: Record<string, Containment> = {
  bubblewrap: { level: 'bubblewrap', strong: true, detail: '', programs },
  unshare: { level: 'unshare', strong: true, detail: '', programs },
  'unshare without tini': { level: 'unshare', strong: true, detail: '', programs: withoutTini },
  weak: { level: 'weak', strong: false, detail: '', programs },
  'weak without tini': { level: 'weak', strong: false, detail: '', programs: withoutTini },
}
const { sandbox: means } = await chooseContainment({
  policy: 'auto',
  extraPath: (process.env['PATH'] ?? '').split(':'),
})
// Each way of being another user, as far as this machine and this user have it.
const users =
  means === undefined ? [] : process.getuid?.() === 0 ? (['mapped', 'renamed'] as const) : (['workers'] as const)
for (const user of users) {
  for (const level of ['workspace', 'locked'] as const) {
    if (means?.levels.includes(level))
      containments[`${level}, ${user}`] = {
        level: 'bubblewrap',
        strong: true,
        detail: '',
        programs,
        sandbox: { ...means, user, levels: ['host', level] },
      }
  }
}
// As in a worker: what starts the runs is a process of its own. The others are started by this one.
const spawner = openSpawner(programs.perl, (error) => t.fail('the spawner', { error }))
t.teardown(() => spawner.close())
for (const name of ['bubblewrap', 'weak', 'workspace, mapped', 'workspace, workers']) {
  const containment = containments[name]
  if (containment) containments[name] = { ...containment, spawner }
}
/** Of ways that differ in one program or in how the user is mapped, `npm test` tries one; test:all tries each. */
const OTHER_WAYS = ['unshare without tini', 'weak without tini', 'locked, mapped', 'workspace, renamed']
if (process.env['CC_EXECUTOR_TEST_ALL'] !== '1') for (const name of OTHER_WAYS) delete containments[name]
const directory = realpathSync(mkdtempSync(join(tmpdir(), 'cc-supervision-')))
t.teardown(() => rmSync(directory, { recursive: true }))

/** The only level of a containment that has one above `host`. */
function sandboxOf({ sandbox }: Pick<Containment, 'sandbox'>): Sandbox | undefined {
  const level = sandbox?.levels.at(-1)
  if (level === undefined || level === 'host') return undefined
  return {
    level,
    home: directory,
    writable: [directory],
    readable: [],
    sockets: [],
    hidden: [],
    protected: [],
    limits: { processes: 400 },
    ...(level === 'locked' && { proxyFolder: directory }),
  }
}

async function start(
  test: Test,
  containment: Containment,
  script: string,
  more: Partial<SuperviseOptions> = {},
): Promise<SupervisedProcess> {
  const sandbox = sandboxOf(containment)
  const run = await startSupervised({
    ...(sandbox && { sandbox }),
    containment,
    file: 'bash',
    args: ['--norc', '-c', script],
    cwd: directory,
    env: { PATH },
    marker: `test-${randomUUID()}`,
    heartbeatTimeoutMs: 30_000,
    ...more,
  })
  test.teardown(async () => {
    await run.killAll()
    // What has escaped holds the other ends, and would keep this process until tap's timeout.
    for (const stream of [run.stdin, run.stdout, run.stderr]) stream.destroy()
  })
  return run
}

function nextLine(run: SupervisedProcess, wanted: string, count = 1): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = 0
    const lines = createInterface({ input: run.stdout })
    lines.on('line', (line) => {
      if (line === wanted && ++seen === count) resolve()
    })
    lines.on('close', () => reject(new Error(`The output ended before ${wanted}.`)))
  })
}

for (const [name, containment] of Object.entries(containments)) {
  void t.test(`under ${name}`, async (t) => {
    void t.test('input, output, errors and the exact environment go through', async (t) => {
      // A bash that finds a socket as its standard input takes itself for rshd's and reads .bashrc.
      writeFileSync(join(directory, '.bashrc'), 'echo from .bashrc >&2')
      const run = await start(t, containment, 'cat; echo oops >&2; exit 7', {
        env: { PATH, HOME: directory, TMOUT: '1' },
      })
      const output = text(run.stdout)
      const errors = text(run.stderr)
      run.release()
      run.stdin.end('grüße\n')
      t.same(await run.exited, { exitCode: 7, signal: null })
      t.equal(await output, 'grüße\n')
      t.equal(await errors, 'oops\n')

      const seen = await start(t, containment, '', {
        file: 'env',
        args: [],
        env: { PATH, HOME: '/x', LC_ALL: 'C', SHLVL: '5' },
        marker: 'marker-of-env',
      })
      const environment = text(seen.stdout)
      seen.release()
      t.same((await environment).trimEnd().split('\n').sort(), [
        'CC_EXECUTOR_ATTEMPT=marker-of-env',
        'HOME=/x',
        'LC_ALL=C',
        `PATH=${PATH}`,
        'SHLVL=5',
      ])
    })

    void t.test('an end by signal is told apart from the exit code that looks like it', async (t) => {
      for (const [script, report] of [
        ['kill -TERM $$', { exitCode: null, signal: 'SIGTERM' }],
        ['exit 143', { exitCode: 143, signal: null }],
        ['kill -KILL $$', { exitCode: null, signal: 'SIGKILL' }],
        ['exit 0', { exitCode: 0, signal: null }],
      ] as const) {
        const run = await start(t, containment, script)
        run.release()
        t.same(await run.exited, report, script)
      }
    })

    void t.test('nothing runs before release, and the pid is the one that runs afterwards', async (t) => {
      const trace = join(directory, randomUUID())
      const run = await start(t, containment, `touch ${trace}; echo here; exec sleep 600`)
      t.equal(readProcess(run.pid)?.pgid, run.pgid)
      run.heartbeat()
      t.notOk(existsSync(trace))
      const here = nextLine(run, 'here')
      run.release()
      await here
      t.ok(existsSync(trace))
      await until(
        () => readFileSync(`/proc/${run.pid}/cmdline`, 'latin1') === 'sleep\x00600\x00',
        'the pid is the program',
      )

      const never = await start(t, containment, `touch ${trace}-never`)
      await never.killAll()
      t.same(await never.exited, { exitCode: null, signal: 'SIGKILL' })
      t.notOk(existsSync(`${trace}-never`))
    })

    void t.test('terminate reaches the program alone', async (t) => {
      const run = await start(t, containment, 'trap "echo asked; exit 143" TERM; sleep 600 & echo up; wait')
      const up = nextLine(run, 'up')
      const asked = nextLine(run, 'asked')
      run.release()
      await up
      run.terminate()
      await asked
      t.same(await run.exited, { exitCode: 143, signal: null })
    })

    void t.test('output that was written before anybody reads is kept', async (t) => {
      const run = await start(t, containment, 'echo early; exec sleep 600')
      run.release()
      await until(
        () => readFileSync(`/proc/${run.pid}/cmdline`, 'latin1').startsWith('sleep'),
        'the program has written',
      )
      await nextLine(run, 'early')
    })

    const mayEscape = name === 'weak without tini'
    void t.test(
      'the evil child is gone after killAll',
      { skip: mayEscape && 'env -i and setsid escape without a reaper' },
      async (t) => {
        const tag = `evil-${randomUUID()}`
        const run = await start(t, containment, '', { args: ['--norc', '-c', EVIL_CHILD, tag, tag] })
        run.stderr.resume()
        const up = nextLine(run, `up ${tag}`, EVIL_COUNT)
        run.release()
        await up
        run.terminate()
        await until(() => countTagged(tag) >= EVIL_COUNT, 'everybody carries the tag')
        await Promise.all([run.killAll(), run.killAll()])
        t.equal(countTagged(tag), 0)
        t.same(await run.exited, { exitCode: null, signal: 'SIGKILL' })
      },
    )

    void t.test('what the program leaves behind is gone after its own end', { skip: mayEscape }, async (t) => {
      const tag = `left-${randomUUID()}`
      const run = await start(
        t,
        containment,
        `(env -i setsid bash --norc -c 'echo up; exec -a "$0" sleep 600' ${tag} &); read -r; exit 3`,
      )
      const up = nextLine(run, 'up')
      run.release()
      await up
      await until(() => countTagged(tag) > 0, 'the descendant carries the tag')
      run.stdin.end('\n')
      t.same(await run.exited, { exitCode: 3, signal: null })
      await until(() => countTagged(tag) === 0, 'the warden ends the descendants')
    })

    void t.test('without a heartbeat everything ends', async (t) => {
      const tag = `silent-${randomUUID()}`
      const script = `setsid bash --norc -c 'exec -a "$0" sleep 600' ${tag} & echo up; wait`
      const run = await withLongerClocks(0.3, async (seconds) => {
        const started = await start(t, containment, script, { heartbeatTimeoutMs: seconds * 1_000 })
        const up = nextLine(started, 'up').then(
          () => true,
          () => false,
        )
        started.release()
        if (!(await up)) return undefined
        for (let beats = 0; beats < 6; beats++) {
          started.heartbeat()
          await delay((seconds * 1_000) / 3)
        }
        // Twice the time-out has passed: it is the heartbeat that kept it alive.
        return countTagged(tag) > 0 ? started : undefined
      })
      t.pass('the heartbeat has kept it alive')
      t.same(await run.exited, { exitCode: null, signal: 'SIGKILL' })
      await until(() => countTagged(tag) === 0, 'the descendants end')
    })

    void t.test('pause stops the descendants too, and resume continues only what it has stopped', async (t) => {
      const run = await start(
        t,
        containment,
        'sleep 600 & kill -STOP $!; setsid bash --norc -c "echo up; while :; do :; done" & cat & wait',
      )
      const up = nextLine(run, 'up')
      run.release()
      await up
      const below = (): string[] => descendantsOf([run.pid], listProcesses()).map((entry) => entry.state)
      await until(() => below().length === 3, 'the last of the three has been started, too')
      await until(() => below().includes('T'), 'the sleeper has been stopped by the program itself')
      await Promise.all([run.pause(), run.pause()])
      t.equal(below().length, 3)
      t.ok(
        below().every((state) => state === 'T'),
        'all are stopped',
      )
      t.equal(readProcess(run.pid)?.state, 'T')
      await run.resume()
      t.equal(below().filter((state) => state === 'T').length, 1)
      t.not(readProcess(run.pid)?.state, 'T')
      await run.pause()
      await run.killAll()
      t.equal(below().length, 0)
    })

    void t.test('a missing program, directory or containment is told by its code', async (t) => {
      const refused = (more: Partial<SuperviseOptions>, code: string): Promise<unknown> =>
        t.rejects(start(t, containment, 'true', more), { code })
      await refused({ file: 'no-such-program' }, 'ENOENT_FILE')
      await refused({ file: join(directory, 'missing') }, 'ENOENT_FILE')
      await refused({ cwd: join(directory, 'missing') }, 'BAD_CWD')
      await refused({ cwd: '/etc/passwd' }, 'BAD_CWD')
      const marker = `broken-${randomUUID()}`
      const broken = { ...programs, bash: '/bin/false', bwrap: '/bin/false', unshare: '/bin/false', tini: '/bin/false' }
      const withBwrap = (file: string): Pick<Containment, 'sandbox'> =>
        containment.sandbox ? { sandbox: { ...containment.sandbox, bwrap: file } } : {}
      await refused(
        { marker, containment: { ...containment, ...withBwrap('/bin/false'), programs: broken } },
        'SPAWN_FAILED',
      )
      const stuck = join(directory, 'stuck')
      writeFileSync(stuck, '#!/bin/bash\ntrap "" TERM\nsleep 600 & wait\n', { mode: 0o755 })
      const hanging = { ...programs, bash: stuck, bwrap: stuck, unshare: stuck, tini: stuck }
      await refused(
        { marker, readyTimeoutMs: 200, containment: { ...containment, ...withBwrap(stuck), programs: hanging } },
        'SPAWN_FAILED',
      )
      t.equal(listProcesses().filter(({ pid }) => readMarkerOf(pid) === marker).length, 0)
    })
  })
}

void t.test('SIGKILL of the worker ends the evil child wherever that is promised', async (t) => {
  const promising = Object.entries(containments).filter(([name]) => name !== 'weak without tini')
  const runs = promising.map(([name, containment]) => ({
    name,
    containment: { ...containment, spawner: undefined },
    bySpawner: containment.spawner !== undefined,
    sandbox: sandboxOf(containment),
    cwd: sandboxOf(containment) ? directory : '/',
    tag: `orphan-${randomUUID()}`,
  }))
  const fixture = fileURLToPath(new URL('../fixtures/supervision/start-evil-children.js', import.meta.url))
  const temporary = join(directory, 'temporary')
  mkdirSync(temporary)
  const worker = spawn(process.execPath, [fixture, JSON.stringify(runs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  })
  t.teardown(() => worker.kill('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: worker.stdout })
      .on('line', (line) => {
        if (line === 'all up') resolve()
      })
      .on('close', () => reject(new Error('The worker ended early.')))
  })
  for (const { name, tag } of runs) await until(() => countTagged(tag) >= EVIL_COUNT, `${name} runs`)
  worker.kill('SIGKILL')
  for (const { name, tag } of runs) await until(() => countTagged(tag) === 0, `everything under ${name} has ended`)
  await until(() => readdirSync(temporary).length === 0, 'the spawner has taken its socket along')
})

void t.test('a spawner that is killed takes its runs with it, and the next start has another one', async (t) => {
  const own = openSpawner(programs.perl, () => undefined)
  t.teardown(() => own.close())
  const containment = { ...containments['bubblewrap']!, spawner: own }
  const first = await start(t, containment, 'echo up; sleep 1000')
  const up = nextLine(first, 'up')
  first.release()
  await up
  const table = listProcesses()
  const [killed] = table.filter(
    ({ pid, ppid }) => ppid === process.pid && descendantsOf([pid], table).some((entry) => entry.pid === first.pid),
  )
  process.kill(killed!.pid, 'SIGKILL')
  t.strictSame(await first.exited, { exitCode: null, signal: 'SIGKILL' })
  await first.killAll()
  for (const word of ['itself', 'by another']) {
    const run = await start(t, containment, `echo ${word}`)
    const output = text(run.stdout)
    run.stderr.resume()
    run.release()
    t.equal(await output, `${word}\n`)
  }
})

void t.test('a start that the spawner cannot make says why', async (t) => {
  const containment = containments['bubblewrap']!
  const bwrap = join(directory, 'not-there')
  const failing = { ...containment, programs: { ...programs, bwrap } }
  await t.rejects(start(t, failing, 'true'), { code: 'SPAWN_FAILED', message: /not-there: No such file/ })
})

function readMarkerOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').match(/(?:^|\0)CC_EXECUTOR_ATTEMPT=([^\0]*)/)?.[1]
  } catch {
    return undefined
  }
}

void t.test('bubblewrap hides directories and files, and shows the exposed ones below them', async (t) => {
  const hidden = join(directory, 'hidden')
  const exposed = join(hidden, 'workspace')
  mkdirSync(exposed, { recursive: true })
  writeFileSync(join(hidden, 'key'), 'secret')
  writeFileSync(join(directory, 'token'), 'secret')
  const run = await start(
    t,
    containments['bubblewrap']!,
    `ls -A ${hidden}; cat ${hidden}/key ${directory}/token; umount -l ${hidden}; ls -A ${hidden}; echo mine > made`,
    {
      cwd: exposed,
      hiddenPaths: [hidden, join(directory, 'token'), join(directory, 'missing')],
      exposedPaths: [exposed],
    },
  )
  const output = text(run.stdout)
  run.stderr.resume()
  run.release()
  t.equal((await run.exited).exitCode, 0)
  t.equal(await output, 'workspace\nworkspace\n')
  t.equal(readFileSync(join(exposed, 'made'), 'utf8'), 'mine\n')
  t.notOk(existsSync(join(directory, 'missing')), 'a missing path is not created')
})

for (const [name, containment] of Object.entries(containments)) {
  const sandbox = sandboxOf(containment)
  if (sandbox === undefined) continue
  void t.test(`${name}: a folder of an opening that holds what is hidden cannot be moved out of the way`, async (t) => {
    const opening = join(directory, `opening-${containment.sandbox?.user}-${sandbox.level}`)
    const [own, kept] = [join(opening, 'home/of/data'), join(opening, 'home/kept/dist')]
    for (const folder of [own, kept, join(opening, 'home/theirs')]) mkdirSync(folder, { recursive: true })
    for (const folder of [own, kept]) writeFileSync(join(folder, 'hooks.json'), 'the operator’s')
    const isTheirs = process.getuid?.() === 0
    if (isTheirs) chownSync(join(opening, 'home/of'), 12_345, 12_345)
    const run = await start(
      t,
      containment,
      `cd ${opening}; touch home/mine; for f in home home/of home/kept; do mv $f away && echo moved; done
       for f in home/of home/kept home/of/data; do rm -rf $f; mkdir -p $f; echo mine > $f/hooks.json; done
       touch home/of/written; true`,
      { sandbox: { ...sandbox, writable: [directory, opening], hidden: [own], protected: [kept] } },
    )
    const output = text(run.stdout)
    run.stderr.resume()
    run.release()
    t.equal((await run.exited).exitCode, 0)
    t.equal(await output, '')
    for (const folder of [own, kept]) t.equal(readFileSync(join(folder, 'hooks.json'), 'utf8'), 'the operator’s')
    t.ok(existsSync(join(opening, 'home/mine')), 'it may write there')
    t.equal(existsSync(join(opening, 'home/of/written')), !isTheirs, 'but not in what is another user’s')
  })
}

void t.test('a status is classified by what jobs said', async (t) => {
  t.same(classifyStatus(143, '[1]-  7437 Exit 143                cc_w_gate'), { exitCode: 143, signal: null })
  t.same(classifyStatus(143, '[1]-  7437 Done(143)               cc_w_gate'), { exitCode: 143, signal: null })
  t.same(classifyStatus(143, '[1]-  7437 Terminated              cc_w_gate'), { exitCode: null, signal: 'SIGTERM' })
  t.same(classifyStatus(134, '[1]+  6556 Aborted                 (core dumped) cc_w_gate'), {
    exitCode: null,
    signal: 'SIGABRT',
  })
  t.same(classifyStatus(143, ''), { exitCode: 143, signal: null })
  t.same(classifyStatus(137, ''), { exitCode: null, signal: 'SIGKILL' })
  t.same(classifyStatus(3, ''), { exitCode: 3, signal: null })
})
