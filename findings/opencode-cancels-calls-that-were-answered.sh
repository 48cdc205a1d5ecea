#!/usr/bin/env bash
# opencode 1.18.33 as a client of MCP: `notifications/cancelled`.
#
# Expected: a client sends `notifications/cancelled` for a request that it no longer wants; for an answered one it sends none
#   (the specification: the request must be believed to be still in progress).
# Happens: each tool call that was answered, successfully and in time, is followed by a cancel of its id.
# Matters to: servers that reuse ids across sessions, keep a job's id under the request's id, or count cancels as failures:
#   a cancel that ends the job behind an answered "started, ask again later" ends every long job of this client.
# Needs: bash, node, npm, linux-x64, 360 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . opencode-linux-x64@1.18.33 >/dev/null
opencode=$folder/node_modules/opencode-linux-x64/bin/opencode

# Chat completions: one call of the tool, then a word.
cat > api.mjs <<'END'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { messages, tools = [] } = JSON.parse(text)
  const tool = messages.some(({ role }) => role === 'tool') ? undefined : tools.find((one) => one.function.name.endsWith('echo'))?.function.name
  const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(`${tool
    ? chunk({ role: 'assistant', tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: tool, arguments: '{}' } }] }) + chunk({}, 'tool_calls')
    : chunk({ role: 'assistant', content: 'Done.' }) + chunk({}, 'stop')}data: [DONE]\n\n`)
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
cat > server.mjs <<'END'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
const answer = (id, result) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...result })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') answer(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'server', version: '1' } } })
  else if (method === 'tools/list') answer(id, { result: { tools: [{ name: 'echo', description: 'Echoes.', inputSchema: { type: 'object', properties: {} } }] } })
  else if (method === 'tools/call') {
    answer(id, { result: { content: [{ type: 'text', text: 'echo' }] } })
    appendFileSync(process.argv[2], `answered ${id}\n`)
  } else if (method === 'notifications/cancelled') appendFileSync(process.argv[2], `cancelled ${params.requestId} ${params.reason ?? ''}\n`)
  else if (id !== undefined) answer(id, { error: { code: -32601, message: 'Method not found' } })
}
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done
mkdir -p home/.config/opencode home/work
cat > home/.config/opencode/opencode.json <<END
{"autoupdate": false, "share": "disabled", "model": "stand-in/m", "small_model": "stand-in/m",
 "provider": {"stand-in": {"npm": "@ai-sdk/openai-compatible", "name": "Stand-in", "options": {"baseURL": "http://127.0.0.1:$(cat port)/v1", "apiKey": "x"}, "models": {"m": {"name": "m"}}}},
 "mcp": {"server": {"type": "local", "command": ["node", "$folder/server.mjs", "$folder/log"], "enabled": true}}}
END
run() { (cd home/work && env -i PATH="$PATH" HOME="$folder/home" OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1 "$opencode" "$@" < /dev/null); }
echo "opencode $(run --version)"
run run 'Use the tool.' > out 2>&1 || { cat out; exit 1; }
cat log
if [ "$(sed -n '1s/answered //p' log)" = "$(sed -n '2s/^cancelled \([0-9]*\).*/\1/p' log)" ] && grep -q '^cancelled' log && grep -q 'Done\.' out; then
  echo 'as found: the answered call is cancelled'
else
  echo CHANGED
  exit 1
fi
