#!/usr/bin/env node
// The command, as npm links it. It is there before the build is: npm makes no link to a file that is missing, and npx
// remembers for ever that there was none.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory } from './cache.mjs'

const command = resolve(checkoutDirectory, 'dist/src/main/cli.js')

if (existsSync(command)) {
  await import(pathToFileURL(command).href)
} else {
  process.stderr.write(`cc-executor: it is not built yet: npm run setup --prefix ${checkoutDirectory}\n`)
  process.exitCode = 1
}
