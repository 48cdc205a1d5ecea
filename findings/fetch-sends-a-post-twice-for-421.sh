#!/usr/bin/env bash
# undici 7.30.2, the fetch of Node (its built-in 6.24.1 alike): an answer 421 (Misdirected Request) to a POST.
#
# Expected: fetch gives the answer to the caller, as with every other status; it never sends a POST again by itself.
# Happens: the request is sent a second time, with its body, on a new connection (the fetch standard says so for bodies that can
#   be read again); the caller sees one answer. With `redirect: 'error'` the second one has lost its body: the caller gets
#   TypeError "fetch failed", UND_ERR_REQ_CONTENT_LENGTH_MISMATCH, and neither the status nor the text that explains it.
# Matters to: webhooks and API clients, which forbid redirects for safety, against servers that answer 421 to a Host they do not
#   serve: the error sounds like a wrong length of the caller's. `redirect: 'manual'` gets the 421. And who counts attempts.
# Needs: bash, node 20.18.1 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --ignore-scripts --prefix . undici@7.30.2 >/dev/null

cat > try.mjs <<'END'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fetch } from 'undici'
let asked = []
const server = createServer(async (request, response) => {
  const one = { body: '' }
  asked.push(one)
  try {
    for await (const chunk of request) one.body += chunk
  } catch {
    one.body += '(broken off)'
  }
  response.writeHead(Number(request.url.slice(1))).end('ask another server')
}).listen(0, '127.0.0.1')
await once(server, 'listening')
async function post(status, options) {
  asked = []
  const seen = await fetch(`http://127.0.0.1:${server.address().port}/${status}`, { method: 'POST', body: 'a body', ...options }).then(
    async (answer) => `${answer.status} ${await answer.text()}`,
    ({ name, message, cause }) => `${name}: ${message}, ${cause?.code}`,
  )
  await delay(300)
  return { seen, asked: asked.map(({ body }) => body) }
}
const other = await post(409, {})
const plain = await post(421, {})
const manual = await post(421, { redirect: 'manual' })
const error = await post(421, { redirect: 'error' })
const show = (name, { seen, asked: bodies }) => console.log(`${name} ${seen}; the server was asked ${bodies.length}x: ${JSON.stringify(bodies)}`)
show('409:                    ', other)
show('421:                    ', plain)
show("421, redirect 'manual': ", manual)
show("421, redirect 'error':  ", error)
server.closeAllConnections()
server.close()
const isTwice = ({ seen, asked: bodies }) => seen === '421 ask another server' && bodies.join() === 'a body,a body'
const same = other.asked.length === 1 && isTwice(plain) && isTwice(manual) &&
  error.seen === 'TypeError: fetch failed, UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' && error.asked[0] === 'a body'
console.log(same ? "as found: a POST is sent twice, and redirect 'error' hides the 421" : 'CHANGED')
process.exitCode = same ? 0 : 1
END
echo "undici $(node -p "require('undici/package.json').version"), node $(node --version) with $(node -p process.versions.undici)"
node try.mjs
