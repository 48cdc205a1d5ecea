#!/usr/bin/env bash
# Redis 7.0.15 (Debian): many small streams (`XADD` of one entry of 40 bytes each).
#
# Expected: a stream packs its entries into listpacks and is "very memory efficient"; a stream of one short entry takes some hundred
#   bytes, a little more than a hash of one field.
# Happens: it takes 4.3 KB, since the node that is written to is given room for 4 KiB at once and keeps it for ever, also when
#   nothing is added any more. `COPY` of it takes 0.3 KB, and stays small with further entries: only the node that XADD opens gets it.
# Matters to: everyone with a stream for each user, job or run: a million of them are 4.3 GB instead of 0.3. Copy what is complete
#   (`COPY s t`, `RENAME t s`), or set `stream-node-max-bytes` for such a server: the room is never more than that.
# Needs: bash, node 20 or newer, npm, apt-get and dpkg-deb of Debian 12 (nothing is installed in the system), amd64.
set -eu
folder=$(mktemp -d)
chmod 755 "$folder"
redis=
trap 'if [ -n "$redis" ]; then kill "$redis" 2>/dev/null || true; wait "$redis" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq redis-tools libjemalloc2 liblua5.1-0 liblzf1 libatomic1 libhiredis0.14 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
npm install --silent --no-save --ignore-scripts --prefix . ioredis@6.0.0 >/dev/null

# In Debian's package the server is the same program under another name.
ln -s "$folder/root/usr/bin/redis-check-rdb" redis-server
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
./redis-server --port 0 --unixsocket "$folder/socket" --save '' --dir "$folder" > redis.log & redis=$!
./redis-server --version
unset LD_LIBRARY_PATH
until [ -S socket ]; do sleep 0.1; done

cat > try.mjs <<'END'
import { Redis } from 'ioredis'
const redis = new Redis({ path: 'socket' })
const entry = 'x'.repeat(40)
const usedMemory = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))[1])
async function average(count, make) {
  const before = await usedMemory()
  for (let index = 0; index < count; index += 1) await make(index)
  return Math.round(((await usedMemory()) - before) / count)
}
const streams = await average(5000, (index) => redis.xadd(`stream:${index}`, '*', 'f', entry))
const hashes = await average(5000, (index) => redis.hset(`hash:${index}`, 'f', entry))
const copies = await average(5000, (index) => redis.copy(`stream:${index}`, `copy:${index}`))
const added = await average(5000, (index) => redis.xadd(`copy:${index}`, '*', 'f', entry))
await redis.config('SET', 'stream-node-max-bytes', '256')
const limited = await average(5000, (index) => redis.xadd(`limited:${index}`, '*', 'f', entry))
redis.disconnect()
console.log(`bytes of each of 5,000: stream of one entry ${streams}, hash of one field ${hashes}`)
console.log(`its copy ${copies}, and ${added} more for another entry; with stream-node-max-bytes 256: ${limited}`)
const same = streams > 4_000 && hashes < 500 && copies < 1_200 && added < 500 && limited < 1_500
console.log(same ? 'as found: 4 KiB of room for each stream, and none for its copy' : 'CHANGED')
process.exit(same ? 0 : 1)
END
node try.mjs
