#!/usr/bin/env bash
# Claude Code 2.1.332 (2.1.197 alike), stream-json: a user line with a text, an image and a PDF that is sent while a turn runs.
#
# Expected: the line joins the turn with all of its blocks, or waits for the next turn; the same line sent as a prompt arrives whole.
# Happens: text and image join the running turn, the `document` block is in no request, and nothing says so. The
#   echo of `--replay-user-messages` shows the line whole, so it proves nothing here.
# Matters to: every host that passes messages with files on to a running session. With `"priority": "later"` on the line it waits for
#   the next turn and the document arrives.
# Needs: bash, node, npm, linux-x64, 420 MB in the temporary folder. The model is a stand-in on loopback.
set -eu
folder=$(mktemp -d)
api=
trap 'if [ -n "$api" ]; then kill "$api" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @anthropic-ai/claude-code-linux-x64@2.1.332 >/dev/null
claude=$folder/node_modules/@anthropic-ai/claude-code-linux-x64/claude

# It calls one command, and writes which kinds of blocks people's lines have in each request.
cat > api.mjs <<'END'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
const usage = { input_tokens: 1, output_tokens: 1 }
const seen = new Set()
createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method !== 'POST') return void response.writeHead(404).end()
  const { model, messages } = JSON.parse(text)
  const blocks = messages.filter(({ role }) => role === 'user').flatMap(({ content }) => (Array.isArray(content) ? content : []))
  for (const { type, text: said } of blocks) seen.add(said?.includes('SECOND LINE') ? 'its text' : type)
  writeFileSync('read', JSON.stringify([...seen]))
  const isDone = blocks.some(({ type }) => type === 'tool_result')
  const command = 'touch begun; timeout 4 tail -f /dev/null; echo over'
  const block = isDone
    ? [{ type: 'text', text: '' }, { type: 'text_delta', text: 'Fine.' }]
    : [{ type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} }, { type: 'input_json_delta', partial_json: JSON.stringify({ command, description: 'works' }) }]
  const events = [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: block[0] },
    { type: 'content_block_delta', index: 0, delta: block[1] },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: isDone ? 'end_turn' : 'tool_use', stop_sequence: null }, usage: { output_tokens: 1 } },
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
cat > "$folder/try.mjs" <<'END'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
const pdf = '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n'
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const source = (media_type, data) => ({ type: 'base64', media_type, data })
const flags = ['-p', '--input-format=stream-json', '--output-format=stream-json', '--verbose', '--replay-user-messages', '--model=claude-sonnet-4-5', '--allowedTools=Bash']
const child = spawn(process.argv[2], flags, { stdio: ['pipe', 'pipe', 'inherit'] })
const say = (content) => child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content }, ...(process.argv[3] && { priority: process.argv[3] }) })}\n`)
child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content: [{ type: 'text', text: 'Work.' }] } })}\n`)
const watch = setInterval(() => {
  if (!existsSync('begun')) return
  clearInterval(watch)
  say([{ type: 'text', text: 'SECOND LINE' }, { type: 'image', source: source('image/png', png) }, { type: 'document', source: source('application/pdf', Buffer.from(pdf).toString('base64')) }])
}, 100)
let results = 0
for await (const line of createInterface({ input: child.stdout })) {
  const { type, message } = JSON.parse(line)
  if (type === 'user' && JSON.stringify(message).includes('SECOND LINE')) console.log(`the echo shows: ${message.content.map((block) => block.type).join(', ')}`)
  if (type !== 'result') continue
  results += 1
  // With `later` a second turn follows.
  if (results === (process.argv[3] ? 2 : 1)) child.stdin.end()
}
END
"$claude" --version
try() {
  rm -f begun "$folder/read"
  env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$folder/port")" ANTHROPIC_API_KEY=stand-in \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 timeout 60 node "$folder/try.mjs" "$claude" "$@"
}
try
joined=$(cat "$folder/read")
echo "joining a turn the model reads: $joined"
try later
later=$(cat "$folder/read")
echo "with priority later: $later"
case "$joined" in *document*) echo CHANGED; exit 1 ;; esac
case "$joined" in *'"its text"'*image* | *image*'"its text"'*) ;; *) echo CHANGED; exit 1 ;; esac
case "$later" in *document*) echo 'as found: the document is lost where its line joins a turn' ;; *) echo CHANGED; exit 1 ;; esac
