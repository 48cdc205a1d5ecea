// Tests are compiled: none of their modules is changed while it is loaded. Comes before all that tap loads.
import Module, { syncBuiltinESMExports } from 'node:module'

// tap has each of some thousand modules go through its hooks in another thread, twice (for mocks, and to learn the
// names of files), which doubles what loading the service costs: 0.9 CPU seconds a file, whose coverage is the same
// without. A mock would be missed by nobody: there are none here. Newer Node.js has hooks without a thread, which stay.
Module.register = () => undefined
syncBuiltinESMExports()

// Packages of the tests' own bundle are no more to cover than those of the checkout, which is all that tap leaves out.
process.env._TAPJS_PROCESSINFO_COV_EXCLUDE_ = String.raw`/[\\/]node_modules[\\/]/`
