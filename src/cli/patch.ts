import { parseArgs } from 'node:util'
import { writeFile } from 'node:fs/promises'
import { EXIT_CODES, requireId, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'

export const patch: Command = {
  summary: ['patch <id> [--bundle FILE]', 'the commits of a run on a repository, for git am'],
  usage: `Usage: cc-executor patch <id> [--bundle FILE]

Prints what a run on a repository (run --repo) has committed, for git am: cc-executor patch <id> | git am

  --bundle FILE                   writes a git bundle instead, for git fetch FILE BRANCH
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, bundle: { type: 'string' } },
    })
    const id = requireId(positionals)
    const { bundle } = values
    await withService(values.url, async (client) => {
      if (bundle === undefined) process.stdout.write(await client.commits(id))
      else await writeFile(bundle, await client.bundle(id))
    })
    return EXIT_CODES.succeeded
  },
}
