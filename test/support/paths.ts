// Tests run compiled, from dist/test; what they read of the checkout lies beside dist.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** The command line as a user starts it. */
export const CLI = join(ROOT, 'dist/src/main/cli.js')
export const FIXTURES = join(ROOT, 'test/fixtures')
/** Stands in for `claude` where the real one cannot be brought to do a thing. */
export const SCRIPTED_CLI = join(FIXTURES, 'scripted-cli.mjs')
