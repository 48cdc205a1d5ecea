#!/usr/bin/env bash
# Claude Code 2.1.332 (2.1.197 alike), a login in `.credentials.json` that is replaced while `claude -p` runs.
#
# Expected: a run that has started keeps the login it started with, at least while that is neither expired nor refused.
# Happens: a file that has changed is read again before a request: the second request of the same process, in the midst of a
#   turn, carries the new token. A login to another account takes over all runs that are under way, and none of them says so.
# Matters to: everyone who logs in to a second account, or swaps login files, while runs go on: the rest of a run is charged to
#   the other one, against its limits. On the other hand a renewed login reaches running processes without a restart.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The tokens are made up, the model a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# It answers the first request with a call of Bash, and before that replaces the login file.
cat > api.mjs <<'END'
import { appendFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  appendFileSync('log', `${request.headers.authorization}\n`)
  const calls = !text.includes('"tool_result"')
  if (calls) renameSync('second.json', 'home/.claude/.credentials.json')
  const block = calls ? { type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} } : { type: 'text', text: '' }
  const delta = calls ? { type: 'input_json_delta', partial_json: '{"command":"sleep 1; echo ran","description":"waits"}' } : { type: 'text_delta', text: 'Fine.' }
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
login() { printf '{"claudeAiOauth":{"accessToken":"%s","refreshToken":"%s","expiresAt":4102444800000,"scopes":["user:inference"],"subscriptionType":"max"}}\n' "$1" "$1-r"; }
mkdir -p home/.claude home/work
login first > home/.claude/.credentials.json
sleep 1 # so that the second file is a later one on every file system
login second > second.json
node api.mjs > port & api=$!
until [ -s port ]; do sleep 0.1; done

"$claude" --version
said=$(cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" \
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p Hello. --allowedTools Bash < /dev/null 2>&1)
echo "one process, its requests in their order: $(tr '\n' ' ' < log)it said: $said"
if [ "$(tr '\n' ' ' < log)" = 'Bearer first Bearer second ' ] && [ "$said" = Fine. ]; then
  echo 'as found: the second request carries the token that came meanwhile'
else
  echo CHANGED
  exit 1
fi
