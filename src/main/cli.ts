#!/usr/bin/env node
// The program in a few files where set-up has bundled the modules of this very build (src/setup/bundle.mjs): they load
// in a third of the time. Else those modules: after a compilation by hand, and in `npm run dev`.
import { readFileSync, statSync } from 'node:fs'
import { holdYoungGeneration } from './lifecycle/memory.js'

const at = (path: string): URL => new URL(path, import.meta.url)

/** Which build the bundle is made of; in a package or an image nothing is compiled, and it is always that one. */
function isBundled(): boolean {
  try {
    const of = readFileSync(at('../../bundle/made-of'), 'latin1')
    const built = statSync(at('../../.tsbuildinfo'), { throwIfNoEntry: false })
    return built === undefined || of === String(built.mtimeMs)
  } catch {
    return false
  }
}

holdYoungGeneration(process.argv[2])
await import(at(isBundled() ? '../../bundle/program.js' : './program.js').href)
