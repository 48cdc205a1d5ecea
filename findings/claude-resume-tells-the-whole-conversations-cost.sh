#!/usr/bin/env bash
# Claude Code 2.1.332, `claude -p --resume`: what the printed result costs.
#
# Expected: the result of a resumed run tells what this run cost, as its `usage` does and as 2.1.197 did.
# Happens: `usage` is that of this run, but `total_cost_usd` and `modelUsage` in the same object are sums over the whole
#   conversation. Three equal runs of one session print 1×, 2× and 3× the cost; adding them up charges 6 for 3.
#   The run's own sum, `model_usage_since_last_result`, is only in `stream-json`; `--output-format json` has none.
# Matters to: everyone who adds up `total_cost_usd` per run (budgets, invoices, CI limits).
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

cat > api.mjs <<'END'
import { createServer } from 'node:http'
const usage = { input_tokens: 1000, output_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: JSON.parse(text).model, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Fine.' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 100 } },
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
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "$@" --model claude-sonnet-4-5 < /dev/null
}
session=11111111-1111-4111-8111-111111111111
run one --session-id "$session" --output-format json > ../1.json
run two --resume "$session" --output-format json > ../2.json
run three --resume "$session" --output-format stream-json --verbose | tail -1 > ../3.json

"$claude" --version
node --input-type=module -e '
import { readFileSync } from "node:fs"
const runs = [1, 2, 3].map((n) => JSON.parse(readFileSync(`../${n}.json`, "utf8")))
const own = ({ model_usage_since_last_result: usage }) => (usage ? Object.values(usage).reduce((total, model) => total + model.costUSD, 0) : undefined)
for (const [index, run] of runs.entries()) console.log(`run ${index + 1}: usage.input_tokens ${run.usage.input_tokens}, total_cost_usd ${run.total_cost_usd.toFixed(4)}, own ${own(run)?.toFixed(4) ?? "not told"}`)
const near = (one, other) => Math.abs(one - other) < 1e-9
const cost = runs[0].total_cost_usd
const same = cost > 0 && runs.every((run, index) => run.usage.input_tokens === 1000 && near(run.total_cost_usd, cost * (index + 1))) && own(runs[1]) === undefined && near(own(runs[2]), cost)
console.log(same ? "as found: the cost is that of the whole conversation" : "CHANGED")
process.exit(same ? 0 : 1)'
