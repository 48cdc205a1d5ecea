#!/usr/bin/env bash
# Claude Code 2.1.332 (2.1.197 alike), stream-json: a control request `interrupt` while a command of the Bash tool runs.
#
# Expected: the model reads in its next turn that the command was interrupted, as it does for a timeout, with what it printed.
# Happens: the result of the call says that the *user refused* it ("doesn't want to proceed with this tool use", "was rejected"),
#   and to stop and wait. The command had begun: the file that it made is there, its output is told nowhere.
# Matters to: every host that interrupts by itself (a pause, a deadline, a budget, a hand-over) and resumes: the model believes that
#   nothing was done, and that a person objects. Tell it in the next prompt who interrupted, and that the command may have worked.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# It calls a command that prints, makes a file and waits; what it reads of that call in the next turn goes to a file.
cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
const usage = { input_tokens: 1, output_tokens: 1 }
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { model, messages } = JSON.parse(text)
  const result = messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).find(({ type }) => type === 'tool_result')
  if (result) writeFileSync('read', JSON.stringify({ is_error: result.is_error, content: result.content }))
  const block = result
    ? [{ type: 'text', text: '' }, { type: 'text_delta', text: 'Fine.' }]
    : [{ type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} }, { type: 'input_json_delta', partial_json: JSON.stringify({ command: 'echo half; touch done; tail -f /dev/null', description: 'works' }) }]
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: block[0] },
    { type: 'content_block_delta', index: 0, delta: block[1] },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: result ? 'end_turn' : 'tool_use', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done

mkdir -p home/work
cd home/work
cat > "$folder/try.mjs" <<'END'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
const flags = ['-p', '--input-format=stream-json', '--output-format=stream-json', '--verbose', '--model=claude-sonnet-4-5', '--allowedTools=Bash']
const child = spawn(process.argv[2], flags, { stdio: ['pipe', 'pipe', 'inherit'] })
const send = (line) => child.stdin.write(`${JSON.stringify(line)}\n`)
const say = (text) => send({ type: 'user', message: { role: 'user', content: [{ type: 'text', text }] } })
say('Work.')
const watch = setInterval(() => {
  if (!existsSync('done')) return
  clearInterval(watch)
  send({ type: 'control_request', request_id: 'one', request: { subtype: 'interrupt' } })
}, 100)
let results = 0
for await (const line of createInterface({ input: child.stdout })) {
  if (JSON.parse(line).type !== 'result') continue
  results += 1
  if (results === 1) say('And?')
  else child.stdin.end()
}
END
"$claude" --version
env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 node "$folder/try.mjs" "$claude"
read=$(cat "$folder/read")
echo "the file that the command made: $(ls done)"
echo "the model reads: $(printf %.150s "$read") …"
case "$read" in
  *half*) echo CHANGED; exit 1 ;;
  *'"is_error":true'*'want to proceed with this tool use'*'rejected'*) echo 'as found: the model reads that the user refused what had begun' ;;
  *) echo CHANGED; exit 1 ;;
esac
