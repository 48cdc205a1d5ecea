// What is around a tool's command: a temporary folder in which the CLI's own sockets have room, however long the data
// folder's path is, and which is gone after a run that was killed; and a standard input that is at its end.
import { existsSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { chown, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Event } from '../../src/protocol/events.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { prepareWorkspace } from '../../src/executions/workspaces/prepare-workspace.js'
import { readConfig } from '../../src/platform/config.js'
import { removeTree } from '../../src/platform/remove-tree.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'
import { until } from '../support/deadlines.js'

/** The service, and its worker, whose data folder has a path of so many bytes. */
async function openWithPath(t: Test, bytes: number, env: NodeJS.ProcessEnv) {
  const service = await openTestService(t, {
    workers: 0,
    env: { CC_EXECUTOR_ALLOWED_TOOLS: 'Bash', CC_EXECUTOR_SANDBOX: 'host', ...env },
  })
  const dataDir = join(service.directory, 'd'.repeat(bytes - service.directory.length - 1))
  await mkdir(dataDir)
  const openWorker = () =>
    service.openWorker({
      CC_EXECUTOR_DATA_DIR: dataDir,
      CC_EXECUTOR_WORKSPACE_ROOT: join(dataDir, 'workspaces'),
      CC_EXECUTOR_TOKEN_FILE: service.config.tokenFile,
      // The token would lie in it.
      CC_EXECUTOR_SANDBOX_WRITE: '',
    })
  await openWorker()
  return { service, dataDir, openWorker }
}

/** The named sockets of the CLI itself, which is the parent of a tool's shell. */
const LOOK =
  'echo "$CLAUDE_CODE_TMPDIR" > place; for file in /proc/$PPID/fd/*; do readlink $file; done | ' +
  "sed -n 's/^socket:.\\([0-9]*\\).$/\\1/p' | " +
  'while read -r inode; do awk -v inode=$inode \'$7 == inode && $8 != "" { print $8 }\' /proc/net/unix; done > sockets'
/** Leaves no time to clear up. */
const DIE = `${LOOK}; kill -9 $PPID`
/**
 * Where a command has a redirection of its input the CLI adds none to /dev/null, and what comes after it would wait for
 * an input that never ends (anthropics/claude-code#58938).
 */
const READ =
  "cat <<'END' > here\nhere\nEND\ncat > after; bash -c 'read -r line; echo $? >> after'; echo piped | cat >> after\n"

/** The first of each in every run of the tests. */
const CASES = {
  50: [
    ['host', LOOK, 'succeeded'],
    ['workspace', DIE, 'failed'],
    ['host', DIE, 'failed'],
    ['workspace', LOOK, 'succeeded'],
  ],
  90: [
    ['workspace', DIE, 'failed'],
    ['host', LOOK, 'succeeded'],
    ['host', DIE, 'failed'],
    ['workspace', LOOK, 'succeeded'],
  ],
} as const

for (const { name, env } of listClaudeVersions())
  for (const bytes of [50, 90] as const)
    void t.test(`${name}, with a data folder of ${bytes} bytes`, { timeout: 600_000 }, async (t) => {
      const { service, dataDir, openWorker } = await openWithPath(t, bytes, env)
      let place = ''
      for (const [sandbox, command, status] of CASES[bytes].slice(
        0,
        process.env['CC_EXECUTOR_TEST_ALL'] === '1' ? 4 : 1,
      )) {
        const prompt = scripted({ tool: 'Bash', input: { command: READ + command, timeout: 60_000 } }, { text: 'done' })
        const { id, ...execution } = await service.finished((await service.submit({ prompt, sandbox })).id)
        t.match(execution, { status, outcome: { sandbox: { level: sandbox } } })
        const [told = '', sockets = '', here, after] = await Promise.all(
          ['place', 'sockets', 'here', 'after'].map((file) => readFile(join(dataDir, 'workspaces', id, file), 'utf8')),
        )
        t.same({ here, after }, { here: 'here\n', after: '1\npiped\n' })
        place = told.trim()
        t.ok(place.startsWith(bytes === 50 ? `${dataDir}/tmp/` : '/tmp/'), place)
        const init = (await service.events(id))
          .flatMap((event) =>
            event.type === 'claude.message' ? [(event as Event<'claude.message'>).data.message] : [],
          )
          .find(({ subtype }) => subtype === 'init')
        // The older CLI has none.
        const { messaging_socket_path: known } = { ...init } as { messaging_socket_path?: string }
        t.same(sockets.split('\n').filter(Boolean), known === undefined ? [] : [known])
        if (known !== undefined) t.ok(known.startsWith(`${place}/cc-socks/`), known)
        t.notOk(existsSync(place), 'it is gone with the run')
      }
      // As it is left by a worker that was killed.
      await mkdir(join(place, 'cc-socks'), { recursive: true })
      await openWorker()
      await until(() => !existsSync(place), 'the next worker has cleared up')
    })

void t.test(
  'a folder in /tmp that is somebody else’s is no run’s',
  { skip: process.getuid?.() !== 0 && 'only root can make it somebody else’s' },
  async (t) => {
    const id = randomUUID()
    const config = readConfig({ HOME: t.testdir({}), CC_EXECUTOR_DATA_DIR: join(t.testdir({}), 'd'.repeat(60)) })
    const place = `/tmp/cce-${Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')}`
    t.teardown(() => removeTree(place))
    await mkdir(place)
    await chown(place, 12_345, 12_345)
    await t.rejects(prepareWorkspace({ id, home: id, workspace: id }, config), /belongs to another user/)
  },
)
