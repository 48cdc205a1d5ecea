// Makes the picture of README.md again: its own commands, on a terminal, against a service with the scripted model.
// npx tsc && node dist/test/support/record-picture.js
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from './paths.js'
import { openReadmeService } from './readme-service.js'
import { pictureCommands, readBlocks, READER_HOME, runOnTerminal, type Chunk } from './readme.js'
import { toPicture, type PictureLine } from './terminal-picture.js'

const PICTURE = join(ROOT, 'test/fixtures/terminal.svg')

/** A line is there when its first letter is. */
function toLines(chunks: readonly Chunk[], home: string): PictureLine[] {
  const lines: PictureLine[] = []
  let isNew = true
  for (const { atMs, text } of chunks) {
    for (const part of text.replaceAll('\r', '').split(/(?<=\n)/)) {
      const last = lines.at(-1)
      const letters = part.replace('\n', '')
      if (isNew || last === undefined) lines.push({ atMs, text: letters })
      else lines.splice(-1, 1, { atMs: last.atMs, text: last.text + letters })
      isNew = part.endsWith('\n')
    }
  }
  return lines.map(({ atMs, text }) => ({ atMs, text: text.replaceAll(home, READER_HOME) }))
}

const releasers: Array<() => Promise<void>> = []
try {
  const { env, home } = await openReadmeService({ teardown: (release) => void releasers.push(release) })
  const commands = pictureCommands(readBlocks(await readFile(join(ROOT, 'README.md'), 'utf8')))
  const script = [
    'alias cc-executor="node $PWD/dist/src/main/cli.js"',
    ...commands.flatMap((command) => [`printf '$ %s\\n' '${command.replaceAll("'", "'\\''")}'`, command]),
  ].join('\n')
  const { code, chunks } = await runOnTerminal(script, env)
  if (code !== 0) throw new Error(`the commands ended with ${code}: ${chunks.map(({ text }) => text).join('')}`)
  await writeFile(PICTURE, toPicture(toLines(chunks, home)))
} finally {
  for (const release of releasers.toReversed()) await release()
}
