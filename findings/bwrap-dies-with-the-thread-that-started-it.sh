#!/usr/bin/env bash
# bubblewrap 0.8.0 (Debian 12) with --die-with-parent, started from a worker thread of Node.
#
# Expected: the sandbox ends when the process that started it ends ("Ensures child process dies when bwrap's parent dies").
# Happens: it is killed when the *thread* that started it ends, while the process lives on: Linux sends the signal of
#   PR_SET_PDEATHSIG at the end of the parent thread, and Node's child_process starts programs from the thread that asks. So a
#   pool that lets an idle worker thread go kills the sandboxes that this thread started: SIGKILL, no message, no core.
# Matters to: everyone who starts sandboxes from worker_threads, or from a thread pool in other languages.
# Needs: bash, node 20 or newer, apt-get and dpkg-deb of Debian 12 (nothing is installed in the system), namespaces.
set -eu
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq bubblewrap 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done

cat > try.mjs <<'END'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
const bwrap = workerData ?? process.argv[2]
const start = (...flags) => spawn(bwrap, ['--bind', '/', '/', '--dev', '/dev', ...flags, 'tail', '-f', '/dev/null'], { stdio: 'ignore', detached: true }).pid
/** R or S: it lives; Z: it has ended; gone. */
function stateOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0]
  } catch {
    return 'gone'
  }
}
const lives = (pid) => /[RSD]/.test(stateOf(pid))
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: bwrap })
  const [{ bound, free }] = await once(worker, 'message')
  const before = [bound, free].map(lives)
  await worker.terminate()
  for (let turn = 0; turn < 50 && lives(bound); turn += 1) await delay(100)
  const after = [bound, free].map(lives)
  console.log(`with --die-with-parent: before ${before[0] ? 'alive' : 'ended'}, after the thread's end ${after[0] ? 'alive' : 'ended'}; process ${process.pid} lives`)
  console.log(`without:                before ${before[1] ? 'alive' : 'ended'}, after the thread's end ${after[1] ? 'alive' : 'ended'}`)
  for (const pid of [bound, free]) if (lives(pid)) process.kill(-pid, 'SIGKILL') // its group: with what it started
  const same = before[0] && before[1] && !after[0] && after[1]
  console.log(same ? 'as found: it dies with the thread' : 'CHANGED')
  process.exit(same ? 0 : 1)
}
const [bound, free] = [start('--die-with-parent'), start()]
await delay(500)
parentPort.postMessage({ bound, free })
setInterval(() => undefined, 1000)
END
"$folder/root/usr/bin/bwrap" --version
echo "node $(node --version)"
node try.mjs "$folder/root/usr/bin/bwrap"
