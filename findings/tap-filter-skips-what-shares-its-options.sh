#!/usr/bin/env bash
# tap 21.8.0, two tests that are given one and the same options object, and `--grep`.
#
# Expected: `--grep='second thing'` runs the second test, which fails: exit code 1.
# Happens: tap writes the skip of the first test (`filter: /…/`) into the options object of the caller. The second test is given
#   the same object, so it is skipped as well, with the filter that it matches as the reason. Nothing runs, and the exit code is 0.
# Matters to: whoever keeps options that several tests share in a constant (a timeout, a condition to skip) and runs one of them by
#   its name, in a bisection or in a check that a removed guard is noticed: what is broken looks green. Give each test a copy.
# Needs: bash, node 20 or newer, npm.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund tap@21.8.0 >/dev/null

cat > shared.test.cjs <<'END'
const t = require('tap')
const options = { timeout: 60_000 }
t.test('first thing', options, async (t) => t.pass())
t.test('second thing', options, async (t) => t.fail('what is broken'))
END
sed "s/, options,/, { ...options },/" shared.test.cjs > copied.test.cjs

run() { node_modules/.bin/tap --disable-coverage --reporter=tap --grep='second thing' "$1" > "$1.tap" 2>&1 && echo 0 || echo $?; }
shared=$(run shared.test.cjs)
copied=$(run copied.test.cjs)
echo "tap $(node -p "require('tap/package.json').version"), node $(node -p process.versions.node)"
echo "each test has a copy of the options: exit code $copied"; grep -E '^    (not )?ok' copied.test.cjs.tap
echo "both tests have the same object:     exit code $shared"; grep -E '^    (not )?ok' shared.test.cjs.tap
if [ "$copied" = 1 ] && [ "$shared" = 0 ] && grep -q '^    ok 2 - second thing # SKIP filter' shared.test.cjs.tap
then echo 'as found: with shared options the test that matches the filter is skipped, and the run is green'
else echo CHANGED; exit 1
fi
