// tap starts every child of a test with its loader, to count the child's coverage too: half a second for each scripted
// CLI, and a process that differs from the one in production. What a test covers by itself is enough for the threshold.
import onSpawn from 'process-on-spawn'

onSpawn.removeAllListeners()
