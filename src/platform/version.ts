import { readFileSync } from 'node:fs'

/**
 * The version of this service, from the package.json of the checkout or package that this file's output in `dist` is
 * part of. Read, not imported: the compiler would put a copy into `dist`, and with it a second manifest of the package.
 */
// Safe: npm's own format, and the package cannot be installed without a version.
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
