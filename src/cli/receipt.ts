import { parseArgs } from 'node:util'
import { EXIT_CODES, requireId, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'

export const receipt: Command = {
  summary: ['receipt <id> [--markdown]', 'prints the signed record of a finished execution'],
  usage: `Usage: cc-executor receipt <id> [--markdown]

Prints the receipt of a finished execution byte for byte, to be stored and checked with cc-executor verify.

  --markdown                      in readable form instead
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, markdown: { type: 'boolean' } },
    })
    const id = requireId(positionals)
    const text = await withService(values.url, (client) => client.receipt(id, { markdown: values.markdown ?? false }))
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
    return EXIT_CODES.succeeded
  },
}
