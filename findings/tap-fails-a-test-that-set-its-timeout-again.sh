#!/usr/bin/env bash
# tap 21.8.0, `t.setTimeout(ms)` called again and again within a subtest, as its documentation suggests for a test that is to go on
# as long as it makes progress ("repeatedly calling t.setTimeout(100) can keep it going indefinitely").
#
# Expected: a test that calls `t.setTimeout(1000)` every 300 ms for 3 s, and whose assertions pass, passes.
# Happens: it runs to its end, and is failed afterwards with "timeout!": when a subtest ends, its whole duration is compared with the
#   timeout that was set last, counted from its beginning. At the top level of the file the same test passes.
# Matters to: whoever bounds a long test by its progress and not by a clock: every assertion is green, and the file is red. Give the
#   subtest `timeout: 0` and end it by a timer of your own.
# Needs: bash, node 20 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund tap@21.8.0 >/dev/null

cat > again.test.mjs <<'END'
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'

const work = async (t) => {
  for (let round = 0; round < 10; round += 1) {
    t.setTimeout(1_000)
    await sleep(300)
  }
  t.pass('all is done')
}
if (process.env.WHERE === 'top') await work(t)
else t.test('keeps itself going', work)
END
run() { WHERE=$1 node_modules/.bin/tap --disable-coverage --reporter=tap again.test.mjs > "$1.tap" 2>&1 && echo 0 || echo $?; }
top=$(run top)
sub=$(run sub)
echo "tap $(node -p "require('tap/package.json').version"), node $(node -p process.versions.node)"
echo "at the top level: exit code $top"; grep -E '^ *(not )?ok' top.tap
echo "in a subtest:     exit code $sub"; grep -E '^ *(not )?ok' sub.tap
if [ "$top" = 0 ] && [ "$sub" = 1 ] && grep -q 'ok 1 - all is done' sub.tap && grep -q 'not ok 2 - timeout!' sub.tap
then echo 'as found: the subtest whose timeout was set again in time is failed when it has ended'
else echo CHANGED; exit 1
fi
