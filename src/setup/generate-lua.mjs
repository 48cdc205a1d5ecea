import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { findCommands, readUses, toModule } from './bundle-lua.mjs'
import { checkoutDirectory } from './cache.mjs'

/**
 * Writes `scripts.generated.ts` beside each folder of Lua commands; `--check` compares instead, and exits 1 where they
 * differ.
 * Constants of TypeScript are read from the build.
 * @param {boolean} check
 */
async function generateLua(check) {
  for (const [folder, commands] of findCommands(checkoutDirectory)) {
    const path = `${dirname(folder)}/scripts.generated.ts`
    const text = toModule(checkoutDirectory, commands, await readConstants(checkoutDirectory, commands))
    if (!check) writeFileSync(join(checkoutDirectory, path), text)
    else if (readFileSync(join(checkoutDirectory, path), 'utf8') !== text) {
      process.stderr.write(`${path} is not what the Lua files say: run npm run generate and commit it.\n`)
      process.exitCode = 1
    }
  }
}

/**
 * @param {string} root @param {readonly string[]} commands @returns {Promise<import('./bundle-lua.mjs').ReadConstant>}
 */
export async function readConstants(root, commands) {
  /** @type {Map<string, Record<string, unknown>>} */
  const modules = new Map()
  const seen = new Set()
  /** @param {string} path */
  const visit = async (path) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const use of readUses(root, path)) {
      if (use.kind === 'include') await visit(use.path)
      else modules.set(use.path, await import(pathToFileURL(join(root, 'dist', use.path.replace(/\.ts$/, '.js'))).href))
    }
  }
  for (const command of commands) await visit(command)
  return (path, name) => modules.get(path)?.[name]
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await generateLua(process.argv.includes('--check'))
}
