#!/usr/bin/env bash
# BullMQ 6.7.0, `queue.add()` with the `jobId` of a job that is there already, Redis 7.0.15 (Debian).
#
# Expected: it is not added (the manual says so), and the caller is told: by an error, by nothing returned, or by the job that is
#   there.
# Happens: a Job comes back that holds the *new* data and options, as if it had been added; its state and its result are those of
#   the old one. `waitUntilFinished` resolves at once, with the value that the old data gave, also when that job ended long ago.
# Matters to: everyone who uses `jobId` against duplicates: one who asks with other data gets another one's answer, and logs the
#   own data beside it. Read the job again (`queue.getJob(id)`) and compare, or listen for `duplicated` of QueueEvents.
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
import { Queue, QueueEvents, Worker } from 'bullmq'
const connection = { path: 'socket' }
const queue = new Queue('queue', { connection })
const events = new QueueEvents('queue', { connection })
let runs = 0
const double = async ({ data }) => {
  runs += 1
  return data.value * 2
}
const worker = new Worker('queue', double, { connection })
await events.waitUntilReady()
async function ask(value) {
  const job = await queue.add('double', { value }, { jobId: 'report' })
  return { held: job.data.value, result: await job.waitUntilFinished(events) }
}
const [first, second] = [await ask(1), await ask(50)]
const stored = (await queue.getJob('report')).data.value
console.log(`add with value 1:                job.data.value ${first.held}, result ${first.result}`)
console.log(`add with value 50, the same id:  job.data.value ${second.held}, result ${second.result}`)
console.log(`the job in Redis:                data.value ${stored}; the worker ran ${runs}x`)
for (const part of [worker, events, queue]) await part.close()
const same = first.result === 2 && second.held === 50 && second.result === 2 && stored === 1 && runs === 1
console.log(same ? "as found: the job that add returns has the new data and the old one's result" : 'CHANGED')
process.exit(same ? 0 : 1)
END
echo "bullmq $(node -p "require('bullmq/package.json').version")"
node try.mjs
