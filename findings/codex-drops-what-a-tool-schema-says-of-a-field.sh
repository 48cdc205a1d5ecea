#!/usr/bin/env bash
# Codex CLI 0.171.0 as a client of MCP: what its model is told of a tool's input schema.
#
# Expected: the input schema as the server gave it, or an error that names what is not supported.
# Happens: `minimum`, `maximum`, `default`, `format`, `minLength`, `pattern` and the like are left out without a word, in small
#   schemas as in large ones; in a large one the fields' descriptions go as well. The model cannot know that 45 is the limit,
#   and the server's refusal is the first it hears of it.
# Matters to: authors of servers: what a model must know belongs into the tool's own description.
# Needs: bash, node, npm, linux-x64, 430 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @openai/codex@0.171.0 >/dev/null
codex=$folder/node_modules/.bin/codex

# The Responses API: a word at once; the request is what we want.
cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  writeFileSync('request.json', text)
  const item = { type: 'message', role: 'assistant', id: 'msg_1', content: [{ type: 'output_text', text: 'Done.', annotations: [] }] }
  const events = [
    { type: 'response.created', response: { id: 'resp_1' } }, { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: { id: 'resp_1', usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } } },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
cat > server.mjs <<'END'
import { createInterface } from 'node:readline'
const wait = { type: 'number', minimum: 0, maximum: 45, default: 30, description: 'Seconds to wait, at most 45.' }
const name = { type: 'string', minLength: 1, maxLength: 20, pattern: '^[a-z]+$', description: 'Lower case.' }
const many = Object.fromEntries(Array.from({ length: 60 }, (_none, index) => [`field${index}`, { type: 'string', description: `This is field number ${index}, and it needs a description of some length, as real ones do.` }]))
const tools = [
  { name: 'small', description: 'A small tool.', inputSchema: { type: 'object', properties: { wait, name }, required: ['wait'] } },
  { name: 'large', description: 'A large tool.', inputSchema: { type: 'object', properties: { wait, name, ...many }, required: ['wait'] } },
]
const answer = (id, result) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...result })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') answer(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'server', version: '1' } } })
  else if (method === 'tools/list') answer(id, { result: { tools } })
  else if (id !== undefined) answer(id, { error: { code: -32601, message: 'Method not found' } })
}
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done
mkdir -p home/.codex home/work
cat > home/.codex/config.toml <<END
model = "m"
model_provider = "stand-in"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.stand-in]
name = "Stand-in"
base_url = "http://127.0.0.1:$(cat port)/v1"
wire_api = "responses"
[mcp_servers.server]
command = "node"
args = ["$folder/server.mjs"]
END
run() { (cd home/work && env -i PATH="$PATH" HOME="$folder/home" HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1 "$codex" "$@" < /dev/null 2>> "$folder/stderr"); }
run --version
run exec --skip-git-repo-check --sandbox read-only 'Say done.' > out || { cat out stderr; exit 1; }
node --input-type=module -e '
import { readFileSync } from "node:fs"
const { tools } = JSON.parse(readFileSync("request.json", "utf8"))
const all = tools.flatMap((tool) => (tool.type === "namespace" ? tool.tools : [tool]))
const fieldsOf = (name) => all.find((tool) => tool.name === name).parameters.properties
const [small, large] = [fieldsOf("small"), fieldsOf("large")]
console.log("given:          ", JSON.stringify({ wait: { type: "number", minimum: 0, maximum: 45, default: 30, description: "…" } }))
console.log("small tool told:", JSON.stringify({ wait: small.wait, name: small.name }))
console.log("large tool told:", JSON.stringify({ wait: large.wait, name: large.name }))
const bare = (field) => ["minimum", "maximum", "default", "minLength", "maxLength", "pattern"].every((key) => !(key in field))
const same = [small.wait, small.name, large.wait, large.name].every(bare) && "description" in small.wait && !("description" in large.wait)
console.log(same ? "as found: limits and defaults are dropped, in a large schema descriptions too" : "CHANGED")
process.exit(same ? 0 : 1)'
