#!/usr/bin/env bash
# Gemini CLI 0.61.0 as a client of MCP: the parameter `wait_for_previous`, and variables whose names sound secret.
#
# Expected: the model is offered the server's own parameters, and a server is started with the client's environment or with a
#   small fixed one.
# Happens: (1) each tool gets a further boolean, `wait_for_previous`, in the schema that the model sees, and the model's value is
#   sent to the server with the others: a schema with `additionalProperties: false`, which the server announced, refuses the
#   client's own call. (2) The server inherits the environment, but without variables whose names hold TOKEN, SECRET or KEY.
# Matters to: servers that check their input strictly; and servers that take an address and a token by two variables: the
#   address arrives, the token does not. What the settings name under `env` does arrive.
# Needs: bash, node 20 or newer, npm, 110 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @google/gemini-cli@0.61.0 >/dev/null

# The Gemini API: a call that follows the schema, then a word.
cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { contents = [], tools = [] } = JSON.parse(text)
  const tool = tools.flatMap(({ functionDeclarations = [] }) => functionDeclarations).find(({ name }) => name.endsWith('echo'))
  const parts = contents.flatMap((content) => content.parts)
  const isAnswered = parts.some(({ functionResponse }) => functionResponse)
  if (tool && !isAnswered) writeFileSync('offered.json', JSON.stringify(tool.parametersJsonSchema ?? tool.parameters))
  const part = tool && !isAnswered ? { functionCall: { name: tool.name, args: { text: 'hello', wait_for_previous: false } } } : { text: 'Done.' }
  const event = JSON.stringify({ candidates: [{ index: 0, finishReason: 'STOP', content: { role: 'model', parts: [part] } }], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } })
  const streams = request.url.includes('streamGenerateContent')
  response.writeHead(200, { 'content-type': streams ? 'text/event-stream' : 'application/json' })
  response.end(streams ? `data: ${event}\n\n` : event)
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
cat > server.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
writeFileSync(`${process.argv[2]}/environment`, Object.keys(process.env).filter((name) => name.startsWith('PROBE_')).sort().join(' '))
const inputSchema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false }
const answer = (id, result) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...result })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') answer(id, { result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'server', version: '1' } } })
  else if (method === 'tools/list') answer(id, { result: { tools: [{ name: 'echo', description: 'Echoes.', inputSchema }] } })
  else if (method === 'tools/call') {
    writeFileSync(`${process.argv[2]}/called.json`, JSON.stringify(params.arguments))
    answer(id, { result: { content: [{ type: 'text', text: 'echo' }] } })
  } else if (id !== undefined) answer(id, { error: { code: -32601, message: 'Method not found' } })
}
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done
mkdir -p home/.gemini home/work
cat > home/.gemini/settings.json <<END
{"mcpServers": {"server": {"command": "node", "args": ["$folder/server.mjs", "$folder"], "env": {"PROBE_WRITTEN_TOKEN": "x"}, "trust": true}},
 "security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"enableAutoUpdate": false}, "privacy": {"usageStatisticsEnabled": false}, "telemetry": {"enabled": false}}
END
run() {
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" TERM=xterm-256color GEMINI_API_KEY=x GOOGLE_GEMINI_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" \
    PROBE_URL=x PROBE_TOKEN=x PROBE_SECRET=x PROBE_KEY=x HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1 "$folder/node_modules/.bin/gemini" "$@" < /dev/null)
}
echo "gemini-cli $(run --version)"
run --skip-trust --yolo -m gemini-2.5-flash -p 'Use the tool.' > out 2>&1 || { cat out; exit 1; }
echo "the server's parameters:   text"
echo "offered to the model:      $(node -p "Object.keys(JSON.parse(require('fs').readFileSync('offered.json')).properties).join(' ')")"
echo "sent to the server:        $(cat called.json)"
echo "set for the client:        PROBE_KEY PROBE_SECRET PROBE_TOKEN PROBE_URL; in the settings: PROBE_WRITTEN_TOKEN"
echo "the server's environment:  $(cat environment)"
if [ "$(cat called.json)" = '{"text":"hello","wait_for_previous":false}' ] && grep -q '"wait_for_previous"' offered.json && [ "$(cat environment)" = 'PROBE_URL PROBE_WRITTEN_TOKEN' ]; then
  echo 'as found: a parameter more, variables less'
else
  echo CHANGED
  exit 1
fi
