// The entry has to parse on any Node that knows modules, so that an old one gets a sentence and not a SyntaxError:
// no newer syntax here, and the steps are imported only after the check.
import { fileURLToPath } from 'node:url'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`set-up: CC Executor needs Node.js 20.19 or later; this is ${process.versions.node}.\n`)
  process.exit(1)
}

const words = process.argv.slice(2)
/** What follows is the service's: `npm start` goes on in this process; another would take longer than the set-up. */
const starts = words[0] === '--start'

import('./set-up-steps.mjs')
  .then(({ setUp }) => setUp(starts ? [] : words))
  .then(() => (starts && !process.exitCode ? start() : undefined))
  .catch((error) => {
    console.error(error)
    process.exitCode = 1
  })

function start() {
  // What set-up has run has ended, and a signal is the service's.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal)
  const command = new URL('../../dist/src/main/cli.js', import.meta.url)
  process.argv.splice(1, 2, fileURLToPath(command), 'start')
  return import(command.href)
}
