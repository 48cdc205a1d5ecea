// What is secret does not leave a run, and what a run is given does not stand on its command line: real CLI, simulator.
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../src/platform/hash.js'
import type { Execution } from '../../src/protocol/execution.js'
import { listClaudeVersions } from '../support/claude-versions.js'
import { scripted } from '../support/environment.js'
import { openTestService } from '../support/service.js'

const EXTRA = 'extra"value\\of-the-operator-77'
const KEY = 'the-key-of-the-operator-1234'
const PROXY = 'pass-of-the-proxy'
/** Command lines of the whole machine are looked at, where another run of this test may go on. */
const OWN = randomUUID().slice(0, 8)
const HEADER = `header-of-the-caller-${OWN}`
/** Parts that hold no character which JSON would write in another way. */
const LEAK = new RegExp(['of-the-operator-77', KEY, PROXY, HEADER].join('|'))
const HIDDEN = new RegExp(`HIDDEN-[\\w-]+-${OWN}|${HEADER}`)
const service = await openTestService(t, {
  workers: 0,
  env: {
    OPERATORS_EXTRA: EXTRA,
    CC_EXECUTOR_CHILD_ENV: 'OPERATORS_EXTRA',
    ANTHROPIC_API_KEY: KEY,
    HTTPS_PROXY: `http://me:${PROXY}@127.0.0.1:9`,
  },
})

const commandLines = (): string =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      } catch {
        return ''
      }
    })
    .join('\n')

/** Its Bash tool waits for a file `go`, and then shows and writes whatever it can find. */
const WAIT = 'until [ -e go ]; do timeout 0.1 tail -f /dev/null; done'
const SERVERS = '$(dirname $HOME)/input/mcp.json'
const SCRIPT = [
  { text: `I was told ${KEY}, and ${EXTRA} as well.`, chunkBytes: 7 },
  { tool: 'Bash', input: { command: `${WAIT}; env; env >&2; env > leak.txt; echo fine > fine.txt; cat ${SERVERS}` } },
  { structured: { said: `${KEY} ${EXTRA}` } },
]

for (const { name, env } of listClaudeVersions())
  void t.test(`nothing secret is told, and nothing of the request is on a command line (${name})`, async (t) => {
    const worker = await service.openWorker(env)
    const { id } = await service.submit({
      prompt: scripted(...SCRIPT),
      allowedTools: ['Bash'],
      systemPrompt: `HIDDEN-SYSTEM-${OWN}`,
      appendSystemPrompt: `HIDDEN-APPENDED-${OWN}`,
      agents: { reviewer: { description: `HIDDEN-AGENT-${OWN}`, prompt: `HIDDEN-AGENT-PROMPT-${OWN}` } },
      outputSchema: { type: 'object', properties: { said: { type: 'string', description: `HIDDEN-SCHEMA-${OWN}` } } },
      mcpServers: {
        far: { type: 'http', url: 'http://127.0.0.1:9/mcp', headers: { Authorization: `Bearer ${HEADER}` } },
      },
    })
    await service.until(id, 'tool.started')
    const input = join(service.config.dataDir, 'sessions', id, 'input')
    t.same((await readdir(input)).sort(), ['appended-prompt', 'mcp.json', 'shell-start', 'system-prompt'])
    for (const file of ['.', ...(await readdir(input))])
      t.equal((await stat(join(input, file))).mode & 0o077, 0, `${file} is its owner’s alone`)
    t.match(commandLines(), id.slice(0, 8), 'the run is among the processes that are looked at')
    t.notMatch(commandLines(), HIDDEN)
    await writeFile(join(service.config.workspaceRoot, id, 'go'), '')

    const execution: Execution = await service.finished(id)
    t.match(execution.outcome, { status: 'succeeded', result: { said: '[masked] [masked]' } })
    const told = service.simulator.requests.map((request) => JSON.stringify(request)).join('')
    t.match(told, /HIDDEN-SYSTEM/)
    t.match(told, /HIDDEN-APPENDED/)
    const events = await service.events(id)
    t.match(JSON.stringify(events), /"agents":\[[^\]]*"reviewer"/)
    t.notMatch(JSON.stringify(events), LEAK)
    t.match(JSON.stringify(events), /mcpServers.{1,200}\[masked\]/, 'its servers were looked at')
    t.match(JSON.stringify(events), /"output":"[^"]*\[masked\]|OPERATORS_EXTRA=\[masked\]/)
    const streamed = events.flatMap((event) => ('text' in event.data ? event.data.text : [])).join('')
    t.match(streamed, 'I was told [masked], and [masked] as well.')
    t.notOk(
      events.some(({ type }) => type === 'text.reset'),
      'what was streamed is what the whole message says',
    )
    const { request: _request, ...shown } = execution
    const receipt = (await service.call('GET', `/executions/${id}/receipt`)).text
    t.notMatch(JSON.stringify(shown) + receipt, LEAK)
    const lines = (
      await service.call('GET', `/executions/${id}/events`, { headers: { accept: 'application/x-ndjson' } })
    ).text
    t.match(
      (await service.call('POST', '/receipts/verify', { body: { receipt: JSON.parse(receipt), events: lines } })).body,
      { valid: true },
    )

    const home = join(service.config.dataDir, 'sessions', id, 'home', '.claude', 'projects')
    const transcripts = (await readdir(home, { recursive: true })).filter((path) => path.endsWith('.jsonl'))
    t.ok(transcripts.length > 0)
    for (const path of transcripts) {
      const text = await readFile(join(home, path), 'utf8')
      t.notMatch(text, LEAK, path)
      t.ok(
        text
          .trim()
          .split('\n')
          .every((line) => JSON.parse(line)),
      )
    }
    const files = await service.call('GET', `/executions/${id}/files/leak.txt`)
    t.match(files.body, { status: 410, code: 'FILE_NOT_KEPT', detail: /contains a secret of the operator/ })
    const fine = await service.call('GET', `/executions/${id}/files/fine.txt`)
    t.equal(sha256(fine.text), sha256('fine\n'))
    await t.rejects(stat(input), { code: 'ENOENT' })

    const next = await service.submit({ prompt: scripted({ text: 'on' }), session: { resume: id } })
    t.match((await service.finished(next.id)).outcome, { status: 'succeeded', result: 'on' }, 'and it can be resumed')
    await worker.close()
  })
