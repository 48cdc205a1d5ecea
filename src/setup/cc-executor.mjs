#!/usr/bin/env node
// The command, as npm links it. It is there before the build is: npm makes no link to a file that is missing, and npx
// remembers for ever that there was none. From a package `start` fetches what is missing, as npm start does in a
// checkout.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { checkoutDirectory, isPackage } from './cache.mjs'

const command = resolve(checkoutDirectory, 'dist/src/main/cli.js')
const [name, ...words] = process.argv.slice(2)

if (isPackage && name === 'start' && !words.some((word) => word === '--help' || word === '-h')) {
  process.argv[2] = '--start'
  await import('./set-up.mjs')
} else if (existsSync(command)) {
  await import(pathToFileURL(command).href)
} else {
  process.stderr.write(`cc-executor: it is not built yet: npm run setup --prefix ${checkoutDirectory}\n`)
  process.exitCode = 1
}
