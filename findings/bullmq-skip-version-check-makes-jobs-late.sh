#!/usr/bin/env bash
# BullMQ 6.7.0, `skipVersionCheck: true` with Redis 7.0.15 (Debian).
#
# Expected: "Avoid version validation to be greater or equal than v5.0.0": the same worker without the check, for servers that
#   forbid INFO or tell an odd version.
# Happens: the worker then believes in Redis 5.0.0, which takes whole seconds only for BZPOPMIN: it rounds its waiting up, and a
#   job delayed by 150 ms runs after 1 s. (What else asks for the version goes by 5.0.0 too: LPOS is replaced by a script; and
#   the warning of an eviction policy other than noeviction, read by the same INFO, never comes.)
# Matters to: everyone who sets it to save a round trip, or for a service without INFO: short delays, retries with a backoff
#   under a second wait up to a second longer, and that on an idle worker, where nobody expects it.
# Needs: bash, node 20 or newer, npm, apt-get and dpkg-deb of Debian 12 (nothing is installed in the system), amd64.
set -eu
folder=$(mktemp -d)
chmod 755 "$folder"
redis=
trap 'if [ -n "$redis" ]; then kill "$redis" 2>/dev/null || true; wait "$redis" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq redis-tools libjemalloc2 liblua5.1-0 liblzf1 libatomic1 libhiredis0.14 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
npm install --silent --no-save --ignore-scripts --prefix . bullmq@6.7.0 ioredis@6.0.0 >/dev/null

# In Debian's package the server is the same program under another name.
ln -s "$folder/root/usr/bin/redis-check-rdb" redis-server
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
./redis-server --port 0 --unixsocket "$folder/socket" --save '' --dir "$folder" > redis.log & redis=$!
./redis-server --version
unset LD_LIBRARY_PATH
until [ -S socket ]; do sleep 0.1; done

cat > try.mjs <<'END'
import { setTimeout as pause } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
async function measure(skipVersionCheck) {
  const options = { connection: { path: 'socket' }, skipVersionCheck }
  const name = `skips-${skipVersionCheck}`
  let ran
  const queue = new Queue(name, options)
  const worker = new Worker(name, async ({ timestamp }) => ran(Date.now() - timestamp), options)
  await worker.waitUntilReady()
  const waits = []
  for (let turn = 0; turn < 4; turn += 1) {
    const after = new Promise((resolve) => { ran = resolve })
    await queue.add('job', {}, { delay: 150 })
    waits.push(await after)
    await pause(200) // the worker is idle again
  }
  await worker.close()
  await queue.close()
  return waits
}
const [checked, skipped] = [await measure(false), await measure(true)]
console.log(`a job with a delay of 150 ms ran after: ${checked.join(', ')} ms`)
console.log(`the same with skipVersionCheck:         ${skipped.join(', ')} ms`)
const same = Math.min(...checked) < 600 && Math.min(...skipped) > 900
console.log(same ? 'as found: without the check a worker waits in whole seconds' : 'CHANGED')
process.exit(same ? 0 : 1)
END
echo "bullmq $(node -p "require('bullmq/package.json').version")"
node try.mjs
