import { readFile, writeFile } from 'node:fs/promises'
import { buildDocuments } from '../src/main/build-documents.js'

/** Where the generated files stand: beside package.json, wherever this was compiled to. */
const TARGET = `${process.cwd()}/openapi`

/**
 * `node dist/openapi/generate.js` writes the documents; `--check` compares them instead and exits 1 where they differ.
 */
async function generate(check: boolean): Promise<void> {
  for (const [name, document] of Object.entries(await buildDocuments())) {
    const path = `${TARGET}/${name}`
    const text = `${JSON.stringify(document, null, 2)}\n`
    if (!check) await writeFile(path, text)
    else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
      process.stderr.write(`openapi/${name} is not what the code says: run npm run generate and commit it.\n`)
      process.exitCode = 1
    }
  }
}

await generate(process.argv.includes('--check'))
