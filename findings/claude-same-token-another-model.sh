#!/usr/bin/env bash
# Claude Code 2.1.332 without `--model`: which model a subscription's token is used for.
#
# Expected: the default model depends on the account, so one token gives one model, wherever the CLI found it.
# Happens: it depends on where the token lies. In `.credentials.json`, which names the plan beside it, it asks for opus (max, pro
#   and team alike); the same token in CLAUDE_CODE_OAUTH_TOKEN, as `claude setup-token` tells to use it in CI, asks for sonnet:
#   there the plan is unknown and counts as none. An API key asks for opus. Nothing tells it but `model` in the init message.
#   (2.1.197: a login of max and a key opus, all other plans and the variable sonnet.)
# Matters to: everyone who tries a prompt after `claude login` and runs it elsewhere with a token of the same account: other
#   quality, cost and limits. Pass `--model`.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The token is made up, the model a stand-in on loopback.
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
  const { model } = JSON.parse(text)
  writeFileSync('asked', `${model} (${request.headers.authorization ?? 'x-api-key'})`)
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
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

login() {
  mkdir -p home/.claude
  printf '{"claudeAiOauth":{"accessToken":"made-up","refreshToken":"made-up-too","expiresAt":4102444800000,"scopes":["user:inference","user:profile"],"subscriptionType":"%s"}}\n' "$1" > home/.claude/.credentials.json
}
run() {
  mkdir -p home/work
  (cd home/work && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" "$@" \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 "$claude" -p Hello. < /dev/null > "$folder/out" 2>&1) || { cat "$folder/out"; exit 1; }
  cat asked
  rm -rf home
}
"$claude" --version
login max; max=$(run)
login pro; pro=$(run)
variable=$(run CLAUDE_CODE_OAUTH_TOKEN=made-up)
key=$(run ANTHROPIC_API_KEY=stand-in)
echo "login file, plan max:                       $max"
echo "login file, plan pro:                       $pro"
echo "the same token in CLAUDE_CODE_OAUTH_TOKEN:  $variable"
echo "an API key:                                 $key"
case "$max|$pro|$variable|$key" in
  'claude-opus-5-5 (Bearer made-up)|claude-opus-5-5 (Bearer made-up)|claude-sonnet-5-5 (Bearer made-up)|claude-opus-5-5 (x-api-key)')
    echo 'as found: the model depends on where the token lies' ;;
  *) echo CHANGED; exit 1 ;;
esac
