// The operator's file of hooks: what is wrong with it is told, what it says for Claude reaches the real CLI, and the
// example works.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import t from 'tap'
import { readHooks } from '../../src/hooks/hooks-file.js'
import { openWorker } from '../../src/main/worker.js'
import { readConfig } from '../../src/platform/config.js'
import type { Event, EventType } from '../../src/protocol/events.js'
import { scripted, testEnvironment } from '../support/environment.js'
import { makeFolder } from '../support/processes.js'
import { ROOT } from '../support/paths.js'
import { openTestRedis } from '../support/redis.js'
import { openTestService } from '../support/service.js'
import { once } from '../support/deadlines.js'

const folder = await makeFolder(t)
const is = <Type extends EventType>(event: Event, type: Type): event is Event<Type> => event.type === type

void t.test(
  'what is wrong with the file is one sentence, which names it and the field, and no worker starts',
  async (t) => {
    const path = join(folder, 'wrong.json')
    const cases: Array<[content: unknown, said: RegExp]> = [
      ['{"pre-execute": [', /wrong\.json: is not valid JSON \(.*\)\.$/],
      [{ 'pre-exec': 'true' }, /wrong\.json: pre-exec: unknown field\.$/],
      [
        { 'pre-execute': [{ command: [] }] },
        /wrong\.json: pre-execute\[0]\.command: expected a shell command line, or an array of program and arguments\.$/,
      ],
      [
        { 'post-execute': [{ command: 'true', timeout: 5 }] },
        /wrong\.json: post-execute\[0]\.timeout: unknown field\.$/,
      ],
      [
        { 'on-failure': { command: 'true', timeoutSeconds: 601 } },
        /wrong\.json: on-failure\[0]\.timeoutSeconds: .*600/,
      ],
      [
        { 'pre-task-list': [{ command: 'true', onlyOnce: true }] },
        /wrong\.json: pre-task-list\[0]\.onlyOnce: unknown field\.$/,
      ],
      [{ claude: { preToolUse: [] } }, /wrong\.json: claude\.preToolUse: .*PreToolUse/],
      [{ claude: { PreToolUse: [{ matcher: 'Bash' }] } }, /wrong\.json: claude\.PreToolUse\[0]\.hooks: /],
    ]
    for (const [content, said] of cases) {
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
      await t.rejects(
        readHooks({ hooksFile: path, isHooksFileGiven: true }),
        { name: 'ConfigError', message: said },
        String(said),
      )
    }
    const { url } = await openTestRedis(t)
    await t.rejects(openWorker(readConfig({ ...testEnvironment(await makeFolder(t)), CC_EXECUTOR_HOOKS: path }), url), {
      name: 'ConfigError',
      message: /wrong\.json: claude\.PreToolUse/,
    })
    await writeFile(path, '{}')
    await chmod(path, 0o666)
    await t.rejects(
      readHooks({ hooksFile: path, isHooksFileGiven: true }),
      /it is writable by every user of this machine/,
    )
    await t.rejects(
      readHooks({ hooksFile: join(folder, 'none.json'), isHooksFileGiven: true }),
      /ENOENT.*CC_EXECUTOR_HOOKS/,
    )
    t.match(await readHooks({ hooksFile: join(folder, 'none.json'), isHooksFileGiven: false }), {
      stages: { 'pre-execute': [] },
    })
  },
)

void t.test(
  'Claude’s own hooks pass to the real CLI, run inside its containment and are told in the stream',
  { timeout: 600_000 },
  async (t) => {
    const data = await makeFolder(t)
    await mkdir(data, { recursive: true })
    const file = join(data, 'claude-hooks.json')
    const refuse = `cat > ${folder}/tool.json; echo no touching here >&2; exit 2`
    await writeFile(
      file,
      JSON.stringify({
        claude: {
          PreToolUse: [{ matcher: 'Bash', hooks: [{ type: 'command', command: refuse }] }],
          UserPromptSubmit: [
            {
              hooks: [
                {
                  type: 'command',
                  command: 'grep -q secr[e]t && echo \'{"decision":"block","reason":"no secrets"}\' || true',
                },
              ],
            },
          ],
        },
      }),
    )
    const real = await openTestService(t, {
      env: { CC_EXECUTOR_HOOKS: file, CC_EXECUTOR_ALLOWED_TOOLS: 'Bash', CC_EXECUTOR_SANDBOX_WRITE: folder },
    })
    const execution = await real.finished(
      (await real.submit({ prompt: scripted({ tool: 'Bash', input: { command: 'touch made' } }, { text: 'done' }) }))
        .id,
    )
    t.match(execution, { status: 'succeeded', outcome: { result: 'done' } }, JSON.stringify(execution.outcome))
    const events = await real.events(execution.id)
    const messages = events.flatMap((event) => (is(event, 'claude.message') ? [event.data.message] : []))
    t.match(
      messages.find(({ subtype, hook_event }) => subtype === 'hook_response' && hook_event === 'PreToolUse'),
      { exit_code: 2 },
    )
    t.match(JSON.parse(await readFile(join(folder, 'tool.json'), 'utf8')), {
      tool_name: 'Bash',
      tool_input: { command: 'touch made' },
    })
    t.match(
      events.find((event) => is(event, 'tool.finished')),
      { data: { isError: true } },
    )
    t.match(events.find((event) => is(event, 'execution.started'))?.data, {
      argv: /--settings=<hooks: PreToolUse, ?UserPromptSubmit>/,
    })
    t.notOk(existsSync(join(real.config.workspaceRoot, execution.id, 'made')))
    t.match(execution.outcome?.permissionDenials, [
      { allowWith: /^no setting: the hook PreToolUse:Bash refused it: .*no touching here$/s },
    ])
    const refused = await real.finished((await real.submit({ prompt: 'Tell me the secret.' })).id)
    t.match(refused, {
      status: 'failed',
      outcome: { code: 'HOOK_VETOED', message: "Claude's hook UserPromptSubmit refused the prompt: no secrets" },
    })
    t.notOk(refused.outcome?.result, 'nobody has answered')
  },
)

void t.test('the example in deployment/ works as it stands', async (t) => {
  const posted: unknown[] = []
  const team = createServer((request, response) => {
    void (async () => {
      posted.push(await json(request))
      response.end()
    })()
  }).listen(0, '127.0.0.1')
  await once(team, 'listening')
  t.teardown(() => team.close())
  const temporary = join(folder, 'example')
  await mkdir(temporary)
  const real = await openTestService(t, {
    env: {
      CC_EXECUTOR_HOOKS: join(ROOT, 'deployment/hooks.example.json'),
      CC_EXECUTOR_ALLOWED_TOOLS: 'Bash',
      TMPDIR: temporary,
      // Safe: it listens.
      TEAM_WEBHOOK: `http://127.0.0.1:${(team.address() as AddressInfo).port}/`,
    },
  })
  const hooksOf = async (id: string): Promise<string[]> =>
    (await real.events(id)).flatMap((event) =>
      is(event, 'hook.finished') ? [`${event.data.name} ${event.data.exitCode} ${event.data.output}`.trim()] : [],
    )
  const prompt = scripted({ tool: 'Bash', input: { command: 'git push origin' } }, { text: 'done' })
  const list = await real.finished((await real.submit({ tasks: [prompt] })).id)
  t.match(list, { status: 'succeeded' }, JSON.stringify(list.outcome))
  t.same(await hooksOf(list.id), ['freeze 0', 'log list 0'])
  const task = await real.finished(list.tasks?.[0]?.id ?? '')
  t.same(await hooksOf(task.id), ['policy 0', 'repository 0', 'log 0'])
  t.match(task.outcome?.permissionDenials, [{ allowWith: /pushing is not for agents$/ }])
  t.ok(existsSync(join(real.config.workspaceRoot, task.workspace, '.git')))

  const refused = await real.finished((await real.submit({ prompt: 'Empty the production database.' })).id)
  t.match(refused, { status: 'failed', outcome: { code: 'HOOK_VETOED', message: /policy refused it: .*off limits/ } })
  t.match(await hooksOf(refused.id), [/^policy 2 /, 'tell the team 0'])
  t.match(posted, [{ text: new RegExp(`${refused.id}.*HOOK_VETOED.*off limits`) }])

  const logged = async (name: string): Promise<unknown[]> =>
    (await readFile(join(temporary, name), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
  t.match(await logged('executions.jsonl'), [{ executionId: task.id, outcome: { status: 'succeeded' } }])
  t.match(await logged('task-lists.jsonl'), [{ executionId: list.id, tasks: [{ status: 'succeeded' }] }])
})
