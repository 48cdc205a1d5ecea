// What the CLI takes from where it runs, and what it may do there.
import { access, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { holds, YES, type Fact } from './fact.js'
import { isResult, isSystem, plain, working, type Scene, type Start } from './scene.js'
import { observe } from './talk.js'

/** What the fact is about, and no test waits on. */
const BARE_SLEEP = 'sleep 30'

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** A workspace whose own settings run a program, set a mode and start a server. */
async function inTrappedWorkspace(
  { run, newFolders }: Scene,
  settings: Start['settings'] = {},
): Promise<{ hooked: boolean; server: boolean; memory: boolean }> {
  const folders = await newFolders()
  const [hooked, server] = [join(folders.home, 'hooked'), join(folders.home, 'server')]
  await mkdir(join(folders.cwd, '.claude'))
  await writeFile(
    join(folders.cwd, '.claude/settings.json'),
    JSON.stringify({
      hooks: { UserPromptSubmit: [{ hooks: [{ type: 'command', command: `touch ${hooked}` }] }] },
      enableAllProjectMcpServers: true,
    }),
  )
  await writeFile(
    join(folders.cwd, '.mcp.json'),
    JSON.stringify({ mcpServers: { trap: { command: 'touch', args: [server] } } }),
  )
  await writeFile(join(folders.cwd, 'CLAUDE.md'), 'words of the project')
  const { requests } = await run({ folders, settings })
  const said = JSON.stringify(requests.map((request) => [request.said, request.system]))
  return { hooked: await exists(hooked), server: await exists(server), memory: said.includes('words of the project') }
}

export const surroundingFacts: readonly Fact[] = [
  {
    name: '--setting-sources= --strict-mcp-config: hooks and servers of the workspace are not started',
    for: 'a repository must not run programs',
    short: true,
    known: YES,
    async look(scene) {
      const found = await inTrappedWorkspace(scene)
      return holds(!found.hooked && !found.server && !found.memory, found)
    },
  },
  {
    name: 'without them they are',
    for: 'CC_EXECUTOR_TRUST_WORKSPACES',
    known: YES,
    async look(scene) {
      const found = await inTrappedWorkspace(scene, { trustWorkspaces: true })
      return holds(found.hooked && found.server && found.memory, found)
    },
  },
  {
    name: 'it writes below HOME and CLAUDE_CODE_TMPDIR only',
    for: 'runs do not meet',
    short: true,
    known: YES,
    async look(scene) {
      const { folders } = await plain(scene)
      return holds(
        (await readdir(folders.cwd)).length === 0 &&
          (await exists(join(folders.home, '.claude'))) &&
          (await exists(join(folders.home, '.claude.json'))),
        await readdir(folders.home),
      )
    },
  },
  {
    name: 'where the request names the working directory',
    for: 'the simulator’s ${cwd}',
    short: true,
    known: ['system prompt', 'message of role system'],
    async look(scene) {
      const { requests, folders } = await plain(scene)
      const words = `Primary working directory: ${folders.cwd}`
      const last = requests.at(-1)
      if (last?.said?.some((text) => text.startsWith('system: ') && text.includes(words)))
        return 'message of role system'
      return last?.system?.some((text) => text.includes(words)) ? 'system prompt' : 'nowhere in their ends'
    },
  },
  {
    name: 'a script’s ${cwd} is the workspace',
    for: 'the simulator',
    short: true,
    known: YES,
    async look(scene) {
      const { folders } = await working(scene)
      return holds(await exists(join(folders.cwd, 'note.txt')), await readdir(folders.cwd))
    },
  },
  {
    name: 'what it asks before the first message',
    for: 'the simulator',
    short: true,
    known: ['HEAD /', 'nothing'],
    async look(scene) {
      const { requests } = await plain(scene)
      const others = requests.filter(({ method }) => method !== 'POST').map(({ method, path }) => `${method} ${path}`)
      return others[0] ?? 'nothing'
    },
  },
  {
    name: 'an MCP server that cannot be started is told as failed',
    for: 'mcp.status',
    known: YES,
    async look({ run }) {
      const { lines } = await run({
        request: { mcpServers: { gone: { command: '/nowhere/server' } } },
        env: { MCP_CONNECTION_NONBLOCKING: '0' },
      })
      const init = lines.find((line) => isSystem(line, 'init'))
      return holds(JSON.stringify(init?.['mcp_servers']).includes('"failed"'), init?.['mcp_servers'])
    },
  },
  {
    name: 'calls without a permission are denials, each with a setting',
    for: 'permission-denial.ts',
    short: true,
    known: YES,
    async look({ run, newFolders }) {
      const outside = (await newFolders()).cwd
      const calls = [
        { tool: 'Bash', input: { command: `touch ${outside}/touched`, description: 'x' } },
        { tool: 'Bash', input: { command: 'npm config get registry | sort', description: 'x' } },
        { tool: 'Write', input: { file_path: '${cwd}/new.txt', content: 'x' } },
        { tool: 'Write', input: { file_path: `${outside}/new.txt`, content: 'x' } },
      ]
      const ended = await run({ steps: [...calls, { text: 'done' }], settings: { defaultPermissionMode: 'default' } })
      const { denials } = observe(ended)
      return holds(
        denials.length === calls.length && denials.every(({ allowWith }) => allowWith !== ''),
        denials.map(({ input, allowWith }) => `${input} → ${allowWith}`),
      )
    },
  },
  {
    name: 'when a denial is told',
    for: 'tool.denied',
    known: ['at once', 'at the result'],
    async look({ run }) {
      const { lines } = await run({
        steps: [{ tool: 'Write', input: { file_path: '${cwd}/new.txt', content: 'x' } }, { text: 'done' }],
        settings: { defaultPermissionMode: 'default' },
      })
      return lines.some((line) => isSystem(line, 'permission_denied')) ? 'at once' : 'at the result'
    },
  },
  {
    name: 'background Bash, input held open: it ends by itself and a second result comes',
    for: 'nothing that the run started is cut off',
    short: true,
    known: YES,
    look: (scene) =>
      inBackground(
        scene,
        { tool: 'Bash', input: { command: 'env sleep 2; echo over', description: 'works', run_in_background: true } },
        'held open',
      ),
  },
  {
    name: 'background Bash, input closed at the first result',
    for: 'why input is held open',
    known: ['waited for', 'ended after five seconds'],
    async look(scene) {
      const found = await inBackground(
        scene,
        { tool: 'Bash', input: { command: 'env sleep 12; echo over', description: 'works', run_in_background: true } },
        'closed',
      )
      return found === 'yes' ? 'waited for' : 'ended after five seconds'
    },
  },
  {
    name: 'background subagent, input held open: a second result comes',
    for: 'nothing that the run started is cut off',
    known: YES,
    look: (scene) =>
      inBackground(
        scene,
        {
          tool: 'Agent',
          input: {
            description: 'looks',
            prompt:
              '```simulate\n[{"tool":"Bash","input":{"command":"env sleep 2; echo ' +
              'over","description":"x"}},{"text":"The agent is done."}]\n```',
            subagent_type: 'general-purpose',
            run_in_background: true,
          },
        },
        'held open',
      ),
  },
  {
    name: 'the whole set of background tasks is told',
    for: 'ambient tasks are told apart',
    known: ['yes', 'no'],
    async look({ start }) {
      const running = await start({
        steps: [
          { tool: 'Bash', input: { command: 'env sleep 1; echo over', description: 'works', run_in_background: true } },
          { text: 'begun' },
        ],
        request: { allowedTools: ['Bash'] },
      })
      await running.until((line) => isSystem(line, 'task_notification'))
      running.closeInput()
      const { lines } = await running.ended
      return lines.some((line) => isSystem(line, 'background_tasks_changed')) ? 'yes' : 'no'
    },
  },
  {
    name: 'a bare sleep of 30 s in Bash',
    for: 'tests do not wait on one',
    known: ['runs', 'refused'],
    async look({ start }) {
      const running = await start({
        steps: [{ tool: 'Bash', input: { command: BARE_SLEEP, description: 'x' } }, { text: 'done' }],
        request: { allowedTools: ['Bash'] },
      })
      const line = await running.until((one) => isSystem(one, 'task_started') || isResult(one))
      running.kill('SIGKILL')
      await running.ended
      return isResult(line) ? 'refused' : 'runs'
    },
  },
]

async function inBackground({ start }: Scene, call: object, input: 'held open' | 'closed'): Promise<string> {
  const running = await start({
    steps: [call, { text: 'begun' }, { turn: true }, { text: 'noticed' }],
    request: { allowedTools: ['Bash', 'Agent', 'Task'] },
  })
  await running.until(isResult)
  if (input === 'closed') running.closeInput()
  const second = await running
    .until((line) => isResult(line) && running.lines.filter(isResult).length > 1)
    .then(
      () => true,
      () => false,
    )
  running.closeInput()
  const { lines, results } = await running.ended
  const notification = lines.find((line) => isSystem(line, 'task_notification'))
  return holds(second && results.length === 2 && notification?.['status'] === 'completed', {
    results: results.length,
    notification: notification?.['status'],
  })
}
