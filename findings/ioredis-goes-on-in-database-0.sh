#!/usr/bin/env bash
# ioredis 6.0.0 with Redis 7.0.15 (Debian): a URL that names a database which the server does not have.
#
# Expected: `redis://127.0.0.1/16` on a server of 16 databases (0 to 15) cannot connect, or its commands fail.
# Happens: SELECT is refused, which is told by an `error` event alone; then the connection becomes ready, and every command runs
#   in database 0: SET answers OK, and the value lies among the data of whoever uses database 0.
# Matters to: everyone whose `error` listener only logs, as is usual since the event also tells of lost connections. The same
#   happens when a server gets a smaller `databases` than before. Compare the number after `ready`, by CLIENT INFO.
# Needs: bash, node, npm, apt-get and dpkg-deb of Debian 12 (nothing is installed in the system), amd64.
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
const errors = []
const open = (db) => new Redis({ path: 'socket', db }).on('error', ({ message }) => errors.push(message))
const [sixteen, zero] = [open(16), open(0)]
const answer = await sixteen.set('mine', 'a value').catch(({ message }) => message)
const status = sixteen.status
const [, used] = / db=(\d+)/.exec(await sixteen.client('INFO'))
const found = await zero.get('mine')
console.log(`SET in database 16: ${answer}; status ${status}; the connection is in database ${used}; error events: ${JSON.stringify(errors)}`)
console.log(`GET in database 0: ${found}`)
const same = answer === 'OK' && used === '0' && found === 'a value' && errors.length === 1
console.log(same ? 'as found: it goes on in database 0' : 'CHANGED')
process.exit(same ? 0 : 1)
END
echo "ioredis $(node -p "require('ioredis/package.json').version")"
node try.mjs
