// Tests are compiled, and their children run as in production.
import onSpawn from 'process-on-spawn'

// tap starts every child of a test with its loader, to count the child's coverage too: half a second for each scripted
// CLI, and a process that differs from the one in production. What a test covers by itself is enough for the threshold.
onSpawn.removeAllListeners()
delete process.env.NODE_OPTIONS

// It has kept tap from loading the TypeScript compiler into this process, half a second for each file (package.json).
// What
// a newer Node's tap would make of it later, an option for every child, is not wanted.
delete process.env.TAP_TYPE_STRIP_ONLY
