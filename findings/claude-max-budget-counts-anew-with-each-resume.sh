#!/usr/bin/env bash
# Claude Code 2.1.332, `claude -p --resume --max-budget-usd`: what counts towards the limit. (2.1.197 limits alike; its sum is the run's own.)
#
# Expected: the limit is held against the sum that the result prints as `total_cost_usd`, which in a resumed run is that of the whole
#   conversation: with 0.10 allowed and 0.30 spent, the resumed run ends before it asks the model again.
# Happens: the limit counts from zero with each start. The first run ends as `error_max_budget_usd` at 0.30; resumed with the same
#   limit it succeeds, and its result says `total_cost_usd` 0.31 beside a limit of 0.10. Ten times resumed, it may spend ten times.
# Matters to: everyone who caps a conversation that goes on (an agent that is resumed, a retry): hand each start what is left of the
#   limit, reckoned by yourself; and a `total_cost_usd` above the limit is no sign that the limit failed.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# Its first reply is dear and calls a tool; the one after "go on" is cheap.
cat > api.mjs <<'END'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const isFirst = !text.includes('go on')
  appendFileSync('asked', isFirst ? '1' : '2')
  const usage = { input_tokens: 1000, output_tokens: isFirst ? 20000 : 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
  const block = isFirst
    ? [{ type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} }, { type: 'input_json_delta', partial_json: JSON.stringify({ command: 'true', description: 'nothing' }) }]
    : [{ type: 'text', text: '' }, { type: 'text_delta', text: 'Fine.' }]
  const events = [
    { type: 'message_start', message: { id: `msg_${isFirst}`, type: 'message', role: 'assistant', model: JSON.parse(text).model, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: block[0] },
    { type: 'content_block_delta', index: 0, delta: block[1] },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: isFirst ? 'tool_use' : 'end_turn', stop_sequence: null }, usage: { output_tokens: usage.output_tokens } },
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
run() {
  env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "$@" --model claude-sonnet-4-5 --allowedTools Bash \
    --max-budget-usd 0.10 --output-format json < /dev/null || true
}
session=11111111-1111-4111-8111-111111111111
run "Begin." --session-id "$session" > ../1.json
run "Now go on." --resume "$session" > ../2.json

"$claude" --version
node --input-type=module -e '
import { readFileSync } from "node:fs"
const [first, second] = [1, 2].map((n) => JSON.parse(readFileSync(`../${n}.json`, "utf8")))
const asked = readFileSync("../../asked", "utf8")
for (const [name, run] of [["first", first], ["resumed", second]]) console.log(`${name}, limit 0.10: ${run.subtype}, total_cost_usd ${run.total_cost_usd.toFixed(4)}`)
console.log(`the model was asked: ${asked}`)
const same = first.subtype === "error_max_budget_usd" && first.total_cost_usd > 0.3 && second.subtype === "success" && second.total_cost_usd > first.total_cost_usd && /^1+2+$/.test(asked)
console.log(same ? "as found: the limit counts from zero with each start" : "CHANGED")
process.exit(same ? 0 : 1)'
