// The entry has to parse on any Node that knows modules, so that an old one gets a sentence and not a SyntaxError:
// no newer syntax here, and the steps are imported only after the check.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`set-up: CC Executor needs Node.js 20.19 or later; this is ${process.versions.node}.\n`)
  process.exit(1)
}

import('./set-up-steps.mjs').then(
  ({ setUp }) => setUp(process.argv.slice(2)),
  (error) => {
    console.error(error)
    process.exitCode = 1
  },
)
