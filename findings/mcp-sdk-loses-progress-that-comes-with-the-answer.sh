#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0: progress notifications that arrive in the same chunk as the answer.
#
# Expected: messages of one connection are handled in their order: both progress notifications, then the result.
# Happens: the answer settles the call at once, notifications a moment later; then their token is unknown: `onprogress` is never
#   called, and `onerror` gets "Received a progress notification for an unknown token" for each. With a pause of 50 ms before
#   the answer both arrive.
# Matters to: servers that end with a last "100 %" and clients that draw it, and everybody who treats `onerror` as a fault of
#   the server: its order on the wire is right. A fast tool may show no progress at all.
# Needs: bash, node 20 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . @modelcontextprotocol/client@2.4.0 >/dev/null

cat > server.mjs <<'END'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
const frame = (message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') process.stdout.write(frame({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'server', version: '1' } } }))
  else if (method === 'tools/call') {
    const progress = [1, 2].map((count) => frame({ method: 'notifications/progress', params: { progressToken: params._meta.progressToken, progress: count, total: 2 } })).join('')
    const result = frame({ id, result: { content: [] } })
    if (params.arguments.pauses) {
      process.stdout.write(progress)
      await delay(50)
      process.stdout.write(result)
    } else process.stdout.write(progress + result)
  } else if (id !== undefined) process.stdout.write(frame({ id, error: { code: -32601, message: 'Method not found' } }))
}
END
cat > client.mjs <<'END'
import { readFileSync } from 'node:fs'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
const client = new Client({ name: 'client', version: '1' })
let errors = []
client.onerror = ({ message }) => errors.push(message.split(':')[0])
await client.connect(new StdioClientTransport({ command: process.execPath, args: ['server.mjs'] }))
async function call(pauses) {
  const seen = []
  errors = []
  await client.callTool({ name: 'work', arguments: { pauses } }, { onprogress: ({ progress }) => seen.push(progress) })
  await new Promise((resolve) => setTimeout(resolve, 200))
  return { seen, errors }
}
const [paused, atOnce] = [await call(true), await call(false)]
await client.close()
console.log(`@modelcontextprotocol/client ${JSON.parse(readFileSync('node_modules/@modelcontextprotocol/client/package.json')).version}, node ${process.version}`)
console.log('answer 50 ms later:  ', JSON.stringify(paused))
console.log('answer in one chunk: ', JSON.stringify(atOnce))
const same = paused.seen.length === 2 && paused.errors.length === 0 && atOnce.seen.length === 0 && atOnce.errors.length === 2
console.log(same ? 'as found: progress right before the answer is lost' : 'CHANGED')
process.exit(same ? 0 : 1)
END
node client.mjs
