// Each refusal of the real CLI is told once, at once where the CLI says so, and the setting that is named lets the very
// call through.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ExecuteRequest } from '../../src/protocol/execute-request.js'
import { openSimulator } from '../../src/simulator/simulator.js'
import { behaviour, makeCliPlace, runCli, script, skip, type CliPlace } from '../support/real-cli.js'

t.jobs = 2

const isLong = process.env['CC_EXECUTOR_TEST_ALL'] === '1'

type Call = { readonly tool: string; readonly input: Record<string, unknown> }
const bash = (command: string): Call => ({ tool: 'Bash', input: { command, description: 'x' } })

/** Whose `${out}` is a folder outside the workspace. */
const CALLS: Record<string, (out: string) => Call> = {
  'a write inside': () => ({ tool: 'Write', input: { file_path: '${cwd}/new.txt', content: 'x' } }),
  'a write outside': (out) => ({ tool: 'Write', input: { file_path: `${out}/new.txt`, content: 'x' } }),
  "a write of the CLI's settings": () => ({
    tool: 'Write',
    input: { file_path: '${cwd}/.claude/settings.json', content: '{}' },
  }),
  'a write of a sensitive file': () => ({ tool: 'Write', input: { file_path: '${cwd}/.git/config', content: '' } }),
  'a read outside': (out) => ({ tool: 'Read', input: { file_path: `${out}/secret.txt` } }),
  'a fetch': () => ({ tool: 'WebFetch', input: { url: 'http://127.0.0.1:9/', prompt: 'x' } }),
  'a subagent': () => ({
    tool: 'Agent',
    input: {
      description: 'x',
      prompt: script([{ text: 'done' }]),
      subagent_type: 'general-purpose',
      run_in_background: false,
    },
  }),
  'a command that writes inside': () => bash('touch touched'),
  'a command that writes outside': (out) => bash(`touch ${out}/touched`),
  'a command that writes two files outside': (out) => bash(`touch ${out}/one ${out}/two`),
  'a command that copies to outside': (out) => bash(`cp there.txt ${out}/copied`),
  'a command that removes outside': (out) => bash(`rm -rf ${out}/nothing`),
  'a command that reads outside': (out) => bash(`cat ${out}/secret.txt`),
  'a redirection inside': () => bash('printf x > printed'),
  'a redirection outside': (out) => bash(`printf x >> ${out}/printed`),
  'a redirection to a sensitive file': () => bash('echo x > .bashrc'),
  'a redirection to a variable': () => bash('echo x > $HOME/x'),
  'a variable': () => bash('for f in a b; do touch $f; done'),
  'a nested command': () => bash('echo $(touch nested)'),
  'a command': () => bash('npm config get cache'),
  'several commands': () => bash('npm config get cache | sort && node -v'),
  'a change of folder': (out) => bash(`cd ${out} && touch here`),
  'a command in the background': () => bash('touch a & wait'),
}

const PER_MODE = [
  ['default', Object.keys(CALLS).filter((name) => name !== 'a subagent')],
  [
    'dontAsk',
    [
      'a write inside',
      'a read outside',
      'a command that writes inside',
      'a command that writes outside',
      'a variable',
      'a command',
    ],
  ],
  [
    'plan',
    [
      'a write inside',
      'a write outside',
      "a write of the CLI's settings",
      'a fetch',
      'a subagent',
      'a variable',
      'a command',
      'a redirection outside',
    ],
  ],
  [
    'auto',
    [
      'a write outside',
      "a write of the CLI's settings",
      'a fetch',
      'a subagent',
      'a variable',
      'a command',
      'a command that reads outside',
    ],
  ],
] as const
/** Where `npm test` asks again, too; the others name settings of the same kinds. */
const ASKED_AGAIN: readonly string[] = ['default', 'plan']
/** Allowed in plan mode by the older CLI. */
const ALLOWED = behaviour.knowsPromptSnapshot ? [] : ['plan: a subagent']

/** The fields of a request that denials name. */
function toRequest(...settings: string[]): Partial<ExecuteRequest> {
  const modes = settings.flatMap((setting) => /permissionMode: ("\w+")/.exec(setting)?.[1] ?? [])
  const rules = settings.flatMap((setting): string[] => JSON.parse(/allowedTools: (\[.*\])/.exec(setting)?.[1] ?? '[]'))
  return {
    ...(modes[0] !== undefined && { permissionMode: JSON.parse(modes[0]) }),
    ...(rules.length > 0 && { allowedTools: [...new Set(rules)] }),
  }
}

async function makePlace(t: Test): Promise<{ place: CliPlace; out: string }> {
  const place = await makeCliPlace(t)
  const out = join(place.root, 'out')
  await mkdir(out, { recursive: true })
  await writeFile(join(out, 'secret.txt'), 's')
  await writeFile(join(place.cwd, 'there.txt'), 'there')
  return { place, out }
}

for (const [mode, names] of PER_MODE) {
  void t.test(`in mode ${mode}`, { skip }, async (t) => {
    const simulator = await openSimulator()
    t.teardown(() => simulator.close())
    const { place, out } = await makePlace(t)
    const refused = names.filter((name) => !ALLOWED.includes(`${mode}: ${name}`))
    const ask = (asked: readonly string[], request: Partial<ExecuteRequest>) =>
      runCli(
        t,
        simulator,
        {
          prompt: script([...asked.flatMap((name) => [CALLS[name]?.(out) ?? {}, { turn: true }]), { text: 'done' }]),
          ...request,
        },
        { place, settings: { defaultPermissionMode: mode } },
      )
    const first = await ask(refused, {})
    const denials = first.observation.denials
    t.same(
      denials.map(({ tool }) => tool),
      refused.map((name) => CALLS[name]?.(out).tool),
      'each is told once, in order',
    )
    const order = first.events.flatMap((event) =>
      event.type === 'tool.denied' || event.type === 'tool.finished' ? [`${event.type} ${event.data.toolUseId}`] : [],
    )
    t.same(
      order,
      denials.flatMap(({ toolUseId }) => [`tool.denied ${toolUseId}`, `tool.finished ${toolUseId}`]),
      'before the call is over',
    )
    if (!isLong && !ASKED_AGAIN.includes(mode)) return

    const bySetting = new Map<string, string[]>()
    for (const [index, name] of refused.entries())
      bySetting.set(denials[index]?.allowWith ?? '', [...(bySetting.get(denials[index]?.allowWith ?? '') ?? []), name])
    // Each is a start of the CLI: in `npm test` one for all that need the same mode, in test:all one for each setting.
    const byRequest = new Map<string, string[]>()
    for (const setting of bySetting.keys()) {
      const key = isLong ? setting : (toRequest(setting).permissionMode ?? '')
      byRequest.set(key, [...(byRequest.get(key) ?? []), setting])
    }
    for (const settings of byRequest.values()) {
      const asked = settings.flatMap((setting) => bySetting.get(setting) ?? [])
      const second = await ask(asked, toRequest(...settings))
      t.same(second.observation.denials, [], `${asked.join(', ')}: ${settings.join().replaceAll(place.root, '')}`)
    }
    if (refused.includes('a write outside')) t.equal(await readFile(join(out, 'new.txt'), 'utf8'), 'x', 'it was done')
  })
}

void t.test(
  'what a rule or a hook refuses is a denial that no other setting lifts, and what a tool says is none',
  { skip },
  async (t) => {
    const simulator = await openSimulator()
    t.teardown(() => simulator.close())
    const { place } = await makePlace(t)
    await writeFile(join(place.cwd, 'refused.txt'), 'x')
    const server = `
    process.stdin.on('data', (chunk) => { for (const line of String(chunk).split('\\n').filter(Boolean)) {
      const { id, method, params } = JSON.parse(line)
      const answer = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
      if (method === 'initialize') answer({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'liar', version: '1' } })
      else if (method === 'tools/list') answer({ tools: [{ name: 'lie', inputSchema: { type: 'object' } }] })
      else if (method === 'tools/call') answer({ isError: true, content: [{ type: 'text', text: "Claude requested permissions to write to /x, but you haven't granted it yet." }] })
      else if (id !== undefined) answer({})
    } })`
    const calls: Call[] = [
      { tool: 'Read', input: { file_path: '${cwd}/refused.txt' } },
      bash('touch touched'),
      { tool: 'Write', input: { file_path: '${cwd}/hooked.txt', content: 'x' } },
      { tool: 'WebFetch', input: { url: 'http://127.0.0.1:9/', prompt: 'x' } },
      { tool: 'mcp__liar__lie', input: {} },
      bash('echo "This command requires approval"; exit 1'),
    ]
    const byExitCode = { matcher: 'Write', hooks: [{ type: 'command', command: 'echo no >&2; exit 2' }] }
    const words = { hookEventName: 'PreToolUse', permissionDecision: 'deny', permissionDecisionReason: 'not here' }
    const deny = `echo '${JSON.stringify({ hookSpecificOutput: words })}'`
    const byJson = { matcher: 'WebFetch', hooks: [{ type: 'command', command: deny }] }
    const { observation } = await runCli(
      t,
      simulator,
      {
        prompt: script([...calls.flatMap((call) => [call, { turn: true }]), { text: 'done' }]),
        permissionMode: 'acceptEdits',
        disallowedTools: ['Read(refused.txt)', 'Bash(touch:*)'],
        allowedTools: ['mcp__liar', 'Bash(exit:*)'],
        mcpServers: { liar: { command: process.execPath, args: ['-e', server] } },
      },
      { place, settings: { hooks: { PreToolUse: [byExitCode, byJson] } } },
    )
    t.same(
      observation.denials.map(({ tool, allowWith }) => [tool, allowWith]),
      [
        ['Read', 'disallowedTools without the rule that matches this call'],
        ['Bash', 'disallowedTools without the rule that matches this call'],
        ['Write', 'no setting: the hook PreToolUse:Write refused it: [echo no >&2; exit 2]: no'],
        ['WebFetch', 'no setting: the hook PreToolUse:WebFetch refused it: not here'],
      ],
    )
  },
)
