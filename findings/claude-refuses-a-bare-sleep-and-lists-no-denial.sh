#!/usr/bin/env bash
# Claude Code 2.1.332, the Bash tool and `sleep`.
#
# Expected: with --dangerously-skip-permissions, or Bash allowed, `sleep 30` runs, as with 2.1.197; and a call that is refused
#   stands in `permission_denials` of the result.
# Happens: a command that is nothing but a longer `sleep` (10 runs, 30 does not) is answered "Blocked: standalone sleep 30…",
#   also when every permission is given, and is no denial: the list is empty, no `system/permission_denied` comes, the run
#   succeeds.
# Matters to: scripts and prompts that wait with `sleep` (rate limits, a server that starts), and whoever counts refusals.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# The prompt is the command that the model calls Bash with.
cat > api.mjs <<'END'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const command = /COMMAND:([^"\\]*)/.exec(text)?.[1] ?? 'true'
  const calls = !text.includes('"tool_result"')
  const block = calls ? { type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} } : { type: 'text', text: '' }
  const delta = calls ? { type: 'input_json_delta', partial_json: JSON.stringify({ command, description: 'waits' }) } : { type: 'text_delta', text: 'Fine.' }
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: JSON.parse(text).model, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: block }, { type: 'content_block_delta', index: 0, delta }, { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done

mkdir -p home/work
cat > read.mjs <<'END'
import { readFileSync } from 'node:fs'
const lines = readFileSync(0, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
const block = lines.flatMap(({ message }) => (Array.isArray(message?.content) ? message.content : [])).find(({ type }) => type === 'tool_result')
const result = lines.find(({ type }) => type === 'result')
const told = lines.filter(({ subtype }) => subtype === 'permission_denied').length
console.log(`${block.is_error ? 'error' : 'ran'} denials=${result.permission_denials.length + told} ${result.subtype}/${result.is_error} ${JSON.stringify(block.content).slice(0, 80)}`)
END
run() {
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in IS_SANDBOX=1 \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "COMMAND:$1" --dangerously-skip-permissions --output-format stream-json --verbose < /dev/null) | node "$folder/read.mjs"
}
"$claude" --version
run 'sleep 10' > short & one=$!
bare=$(run 'sleep 30')
wait "$one"
printf '%-12s %s\n' 'sleep 30' "$bare" 'sleep 10' "$(cat short)"
case "$bare|$(cat short)" in
  'error denials=0 success/false '*'Blocked: standalone sleep'*'|ran denials=0 '*) echo 'as found: refused although everything is permitted, and told as no denial' ;;
  *) echo CHANGED; exit 1 ;;
esac
