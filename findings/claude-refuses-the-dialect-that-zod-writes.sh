#!/usr/bin/env bash
# zod 4.6.7 z.toJSONSchema() and Claude Code 2.1.332 --json-schema.
#
# Expected: a JSON Schema that a current library writes is taken by a flag that takes a JSON Schema.
# Happens: zod names its dialect (`"$schema": "https://json-schema.org/draft/2020-12/schema"`, its default), and the CLI exits 1:
#   "--json-schema is not a valid JSON Schema: no schema with key or ref …". The same schema without the key is taken, and so
#   is one that names draft-07. The message sounds as if the schema itself were wrong.
# Matters to: everyone who hands a generated schema to structured output: strip `$schema` first, or `target: "draft-07"`.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 zod@4.6.7 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

cat > api.mjs <<'END'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { model, tools = [] } = JSON.parse(text)
  const calls = tools.some(({ name }) => name === 'StructuredOutput') && !text.includes('"tool_result"')
  const block = calls ? { type: 'tool_use', id: 'toolu_1', name: 'StructuredOutput', input: {} } : { type: 'text', text: '' }
  const delta = calls ? { type: 'input_json_delta', partial_json: '{"n":7}' } : { type: 'text_delta', text: 'Fine.' }
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
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

schema() { node --input-type=module -e "import { z } from 'zod'; console.log(JSON.stringify(($1)(z.toJSONSchema(z.object({ n: z.int() }), $2))))"; }
mkdir -p home/work
run() {
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p 'Give n.' --output-format json --json-schema "$1" < /dev/null 2>&1) || echo "(exit $?)"
}
"$claude" --version
echo "zod $(node -p "require('zod/package.json').version"): $(schema '(s) => s' '{}')"
asIs=$(run "$(schema '(s) => s' '{}')")
without=$(run "$(schema '({ $schema, ...s }) => s' '{}' | cat)")
draft7=$(run "$(schema '(s) => s' '{ target: "draft-07" }')")
echo "as zod writes it:   $asIs"
echo "without \$schema:    $(echo "$without" | grep -oE '"structured_output":\{[^}]*\}')"
echo "as draft-07:        $(echo "$draft7" | grep -oE '"structured_output":\{[^}]*\}')"
if echo "$asIs" | grep -q 'no schema with key or ref' && echo "$asIs" | grep -q '(exit 1)' && echo "$without" | grep -q '"structured_output":{"n":7}' && echo "$draft7" | grep -q '"structured_output":{"n":7}'; then
  echo 'as found: only the name of the dialect is refused'
else
  echo CHANGED
  exit 1
fi
