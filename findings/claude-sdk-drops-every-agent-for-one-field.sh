#!/usr/bin/env bash
# @anthropic-ai/claude-agent-sdk 0.3.332 with Claude Code 2.1.332: `agents` of which one has a field of the wrong type.
#
# Expected: what `claude --agents` does with the same definitions: exit 1, "reviewer.tools: Invalid input: expected array,
#   received string"; or at least the other agents are there. (`tools: Read, Grep` is how .claude/agents/*.md write it.)
# Happens: the SDK sends them by the control request `initialize`, which answers success without a word; none of the agents
#   exists, neither the right one, and the run goes on and succeeds. `jsonSchema` of `initialize` is the same: `--json-schema`
#   exits 1 for a schema with a misspelt type, the request answers success, and the tool StructuredOutput is missing.
# Matters to: everyone whose agents come from a file or a form: compare `agents` of the init message with what was asked for.
# Needs: bash, node, npm, linux-x64, 490 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --omit=optional --prefix . \
  @anthropic-ai/claude-agent-sdk@0.3.332 @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

cat > api.mjs <<'END'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: JSON.parse(text).model, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Fine.' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done
mkdir -p home/work
base="http://127.0.0.1:$(cat port)"

planner='"planner":{"description":"Plans.","prompt":"Plan."}'
reviewer='"reviewer":{"description":"Reviews.","prompt":"Review.","tools":"Read, Grep"}'
cat > sdk.mjs <<'END'
import { query } from '@anthropic-ai/claude-agent-sdk'
const [claude, base, home, agents] = process.argv.slice(2)
const env = { PATH: process.env.PATH, HOME: home, ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: 'stand-in', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' }
const asked = JSON.parse(agents)
let [there, end] = ['', '']
let stderr = ''
const options = { pathToClaudeCodeExecutable: claude, cwd: `${home}/work`, env, agents: asked, stderr: (text) => { stderr += text } }
for await (const message of query({ prompt: 'Hello.', options })) {
  if (message.type === 'system' && message.subtype === 'init') there = message.agents.filter((name) => name in asked).join(' ')
  if (message.type === 'result') end = `${message.subtype}/${message.is_error}`
}
console.log(`agents=[${there}] ${end} standard error='${stderr}'`)
END
run() {
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="$base" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "$@" 2>&1) || echo "(exit $?)"
}
"$claude" --version
echo "claude-agent-sdk $(node -p "JSON.parse(require('fs').readFileSync('node_modules/@anthropic-ai/claude-agent-sdk/package.json')).version")"
right=$(node sdk.mjs "$claude" "$base" "$folder/home" "{$planner}")
both=$(node sdk.mjs "$claude" "$base" "$folder/home" "{$planner,$reviewer}")
flag=$(run Hello. --agents "{$planner,$reviewer}" < /dev/null | tr '\n' ' ')
schemaFlag=$(run Hello. --json-schema '{"type":"strng"}' < /dev/null | tr '\n' ' ' | cut -c1-60)
schema=$(printf '%s\n' '{"type":"control_request","request_id":"1","request":{"subtype":"initialize","jsonSchema":{"type":"strng"}}}' \
  '{"type":"user","message":{"role":"user","content":"Hello."}}' | run --input-format stream-json --output-format stream-json --verbose |
  node -e "
    const lines = require('fs').readFileSync(0, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
    const find = (type) => lines.find((line) => line.type === type)
    const init = lines.find((line) => line.subtype === 'init')
    console.log('answer ' + find('control_response').response.subtype + ', StructuredOutput ' + init.tools.includes('StructuredOutput') + ', ' + find('result').subtype)")
echo "planner, by the SDK:              $right"
echo "planner and reviewer, by the SDK: $both"
echo "the same by --agents:             $flag"
echo "a schema by --json-schema:        $schemaFlag"
echo "the same by initialize:           $schema"
case "$right|$both|$flag|$schemaFlag|$schema" in
  "agents=[planner] success/false standard error=''|agents=[] success/false standard error=''|"*'reviewer.tools: '*'(exit 1)'*'|Error: --json-schema is not a valid'*'|answer success, StructuredOutput false, success')
    echo 'as found: all agents are dropped without a word for one of them' ;;
  *) echo CHANGED; exit 1 ;;
esac
