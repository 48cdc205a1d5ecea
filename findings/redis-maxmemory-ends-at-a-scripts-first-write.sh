#!/usr/bin/env bash
# Redis 7.0.15 (Debian) at `maxmemory`, policy noeviction: a Lua script by EVAL without a `#!lua` line.
#
# Expected: commands that need memory are refused (OOM) in a script as they are outside, all or none, whatever stands before.
# Happens: each command is judged only until the script's first write command; from then on all pass, since a script is not
#   to stop halfway. A DEL of a key that does not exist is such a write: with it in front the SET is made, without it refused.
#   With the line `#!lua` the whole script is refused before it begins.
# Matters to: whoever counts on `maxmemory` with libraries whose Lua scripts have no such line, as most (BullMQ): a script that
#   tidies up first goes on to grow the data beyond the limit, its neighbour that adds first is refused; and a test of the
#   full server with the one says nothing of the other. Moving a line in a script changes it.
# Needs: bash, apt-get and dpkg-deb of Debian 12 (nothing is installed in the system), amd64.
set -eu
folder=$(mktemp -d)
chmod 755 "$folder"
redis=
trap 'if [ -n "$redis" ]; then kill "$redis" 2>/dev/null || true; wait "$redis" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq redis-tools libjemalloc2 liblua5.1-0 liblzf1 libatomic1 libhiredis0.14 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done

# In Debian's package the server is the same program under another name.
ln -s "$folder/root/usr/bin/redis-check-rdb" redis-server
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
./redis-server --port 0 --unixsocket "$folder/socket" --save '' --dir "$folder" > redis.log & redis=$!
./redis-server --version
until [ -S socket ]; do sleep 0.1; done
ask() { "$folder/root/usr/bin/redis-cli" -s socket "$@" | tr '\n' ' ' | cut -c1-64; }
ask CONFIG SET maxmemory 1 > /dev/null # less than the server uses by itself
outside=$(ask SET key value)
alone=$(ask EVAL "return redis.call('SET', KEYS[1], 'value')" 1 key)
afterRead=$(ask EVAL "redis.call('GET', 'none'); return redis.call('SET', KEYS[1], 'value')" 1 key)
before=$(ask EXISTS key)
afterWrite=$(ask EVAL "redis.call('DEL', 'none'); return redis.call('SET', KEYS[1], 'value')" 2 key none)
after=$(ask EXISTS key)
marked=$(ask EVAL "#!lua
redis.call('DEL', 'none'); return redis.call('SET', KEYS[1], 'value')" 2 key none)
echo "SET:                          $outside"
echo "script SET:                   $alone"
echo "script GET none, SET:         $afterRead (key exists: $before)"
echo "script DEL none, SET:         $afterWrite (key exists: $after)"
echo "script #!lua, DEL none, SET:  $marked"
case "$outside|$alone|$afterRead|$before|$afterWrite|$after|$marked" in
  'OOM '*'|OOM '*'|OOM '*'|0 |OK |1 |OOM '*) echo 'as found: commands of a script are refused only until one of them has written' ;;
  *) echo CHANGED; exit 1 ;;
esac
