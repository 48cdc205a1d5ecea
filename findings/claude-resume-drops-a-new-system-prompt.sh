#!/usr/bin/env bash
# Claude Code 2.1.332, `claude -p --resume … --append-system-prompt TEXT`: which text reaches the model.
#
# Expected: the flag of this start, as with 2.1.197; or a word that it is ignored.
# Happens: the system prompt of the session's first request is sent again; the new text reaches the model nowhere, exit 0,
#   nothing on standard error. `--system-prompt-snapshot=off` restores the old way.
# Matters to: everyone who puts the rules of a turn (role, language, output format) into the system prompt of a resumed run.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  writeFileSync('last-request', text)
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
cd home/work
run() {
  env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p "$@" < /dev/null > /dev/null 2> "$folder/stderr"
}
told() { grep -oE 'Answer in (French|Spanish)' "$folder/last-request" | sort -u | tr '\n' ' '; }
session=11111111-1111-4111-8111-111111111111
"$claude" --version
run one --session-id "$session" --append-system-prompt 'Answer in French.'
first=$(told)
run two --resume "$session" --append-system-prompt 'Answer in Spanish.'
second=$(told)
said=$(cat "$folder/stderr")
run three --resume "$session" --append-system-prompt 'Answer in Spanish.' --system-prompt-snapshot=off
third=$(told)
echo "first, French asked for:               the model is told: $first"
echo "resumed, Spanish asked for:            the model is told: $second(standard error: '${said}')"
echo "the same with snapshot=off:            the model is told: $third"
if [ "$first" = 'Answer in French ' ] && [ "$second" = 'Answer in French ' ] && [ -z "$said" ] && [ "$third" = 'Answer in Spanish ' ]; then
  echo 'as found: the text of the resumed start is dropped without a word'
else
  echo CHANGED
  exit 1
fi
