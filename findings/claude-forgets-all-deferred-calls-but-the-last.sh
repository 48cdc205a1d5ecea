#!/usr/bin/env bash
# Claude Code 2.1.332 (2.1.197 alike): a PreToolUse hook that answers "defer", and a reply of the model with two tool calls.
#
# Expected: both calls wait, as one does; or "defer" is ignored, as a warning in the CLI has it: "… but 2 tool calls are in this
#   batch; ignoring (defer is solo-only — siblings would be orphaned on resume)".
# Happens: both hooks are heeded. (That check counts the calls in one message of the transcript, and a streamed reply is cut into
#   a message for each call.) `deferred_tool_use` names the last call alone, and only that one is run by the resumed session. The
#   first is neither run nor refused: it has been taken out of the conversation, and the model reads that it asked for one call.
#   Nothing on standard error, no denial, both runs succeed.
# Matters to: everyone who has calls approved by people ("defer" is for that) and a model that calls tools in parallel: half of
#   the work is missing, and neither the model nor the log knows. Defer one call of a reply, deny the others with "ask again".
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# One reply with two calls of Bash; then, once it has read a result, a word. The calls that it reads go to a file.
cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
const call = (name, index) => [
  { type: 'content_block_start', index, content_block: { type: 'tool_use', id: `toolu_${name}`, name: 'Bash', input: {} } },
  { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: JSON.stringify({ command: `touch ${name}`, description: 'makes a file' }) } },
  { type: 'content_block_stop', index },
]
const word = [
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Fine.' } },
  { type: 'content_block_stop', index: 0 },
]
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { model, messages } = JSON.parse(text)
  const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []))
  writeFileSync('read', blocks.filter(({ type }) => type.startsWith('tool_')).map(({ type, id, tool_use_id }) => `${type}:${id ?? tool_use_id}`).join(' '))
  const calls = !text.includes('"tool_result"')
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
    ...(calls ? ['first', 'second'].flatMap(call) : word),
    { type: 'message_delta', delta: { stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ]
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''))
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
END
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done

cat > hook.sh <<'END'
echo asked >> "$1"
echo '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"defer"}}'
END
echo "{\"hooks\":{\"PreToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"bash $folder/hook.sh $folder/hooked\"}]}]}}" > settings.json
mkdir -p home/work
run() {
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "$@" --output-format json < /dev/null 2> "$folder/stderr") > result
  node -e "
    const { subtype, is_error, stop_reason, deferred_tool_use: call, permission_denials: denials } = JSON.parse(require('fs').readFileSync('result'))
    console.log([subtype + '/' + is_error, stop_reason, 'deferred=' + call?.id, 'denials=' + denials.length, 'stderr=' + require('fs').statSync('stderr').size].join(' '))"
}
session=11111111-1111-4111-8111-111111111111
"$claude" --version
first=$(run Hello. --session-id "$session" --settings "$folder/settings.json")
hooked=$(wc -l < hooked)
second=$(run --resume "$session" --allowedTools Bash)
echo "the model calls toolu_first, toolu_second; hooks asked: $hooked"
echo "the run:          $first"
echo "the resumed run:  $second"
echo "the model reads:  $(cat read)"
echo "files made:       $(ls home/work)"
case "$hooked|$first|$second|$(cat read)|$(ls home/work)" in
  '2|success/false tool_deferred deferred=toolu_second denials=0 stderr=0|success/false end_turn deferred=undefined denials=0 stderr=0|tool_use:toolu_second tool_result:toolu_second|second')
    echo 'as found: of two deferred calls the first is gone without a trace' ;;
  *) echo CHANGED; exit 1 ;;
esac
