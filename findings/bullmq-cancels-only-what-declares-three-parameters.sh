#!/usr/bin/env bash
# BullMQ 6.7.0, `worker.cancelJob()` with Redis 7.0.15 (Debian).
#
# Expected: a processor is called with (job, token, signal) and uses what it likes of them; `cancelJob` answers "true if job was
#   active, false otherwise" (the manual).
# Happens: a signal is made only for a function whose `length` is 3 or more. A wrapper `(...args) => processor(...args)`, as for
#   tracing or logging, and a default for the third parameter have a smaller one: they get no signal, `cancelJob` of the active
#   job answers false, as for a job that is not here, and the job runs to its end.
# Matters to: everyone who wraps processors: cancelling works until somebody adds a decorator, and no test of the inner function
#   shows it. Declare three parameters in the outermost function.
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
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
const connection = { path: 'socket' }
async function work(signal) {
  for (let turn = 0; turn < 20; turn += 1) {
    if (signal?.aborted) throw new Error('cancelled')
    await pause(50)
  }
  return 'ran to its end'
}
const plain = async (job, token, signal) => work(signal)
const processors = {
  'three parameters': plain,
  'wrapped by ...args': async (...args) => plain(...args),
  'signal = undefined': async (job, token, signal = undefined) => work(signal),
}
const seen = []
for (const [name, processor] of Object.entries(processors)) {
  const queue = new Queue(name, { connection })
  const worker = new Worker(name, processor, { connection })
  const end = Promise.race([once(worker, 'completed').then(([, value]) => value), once(worker, 'failed').then(([, { message }]) => message)])
  const active = once(worker, 'active')
  const { id } = await queue.add('job', {})
  await active
  await pause(100)
  const answer = worker.cancelJob(id)
  seen.push(`${answer} ${await end}`)
  console.log(`${name}: length ${processor.length}, cancelJob ${answer}, the job: ${await end}`)
  await worker.close()
  await queue.close()
}
const same = seen.join() === 'true cancelled,false ran to its end,false ran to its end'
console.log(same ? 'as found: only a function that declares three parameters is cancelled' : 'CHANGED')
process.exit(same ? 0 : 1)
END
echo "bullmq $(node -p "require('bullmq/package.json').version")"
node try.mjs
