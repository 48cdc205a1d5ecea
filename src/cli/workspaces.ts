/** The folders of this machine that `run --here` has had admitted. */
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Admission, Client } from '../client/open-client.js'
import { EXIT_CODES, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'

async function listAll(client: Client): Promise<Admission[]> {
  const found: Admission[] = []
  for (let cursor: string | undefined; ;) {
    const page = await client.admissions({ cursor, limit: 200 })
    found.push(...page.admissions)
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
  }
}

export const workspaces: Command = {
  summary: ['workspaces [--withdraw DIR]', 'the folders allowed for run --here'],
  usage: `Usage: cc-executor workspaces [flags]

Lists the folders of this machine that are allowed for your token (run --here), and since when.

  --withdraw DIR                  no longer accept runs there; running ones continue to their end
${SERVICE_USAGE}`,
  async run(args) {
    const { values } = parseArgs({ args, options: { ...SERVICE_FLAGS, withdraw: { type: 'string' } } })
    const { withdraw } = values
    if (withdraw === '') throw new UsageError('--withdraw: expected a folder')
    return withService(values.url, async (client) => {
      const admissions = await listAll(client)
      if (withdraw === undefined) {
        for (const { folder, admittedAt } of admissions) process.stdout.write(`${admittedAt}  ${folder}\n`)
        return EXIT_CODES.succeeded
      }
      const path = resolve(withdraw)
      // One that is gone is still known by its name.
      const names = [path, await realpath(path).catch(() => path)]
      const meant = admissions.find(({ folder }) => names.includes(folder))
      if (!meant) {
        say(`${path} is not allowed; cc-executor workspaces lists those that are`)
        return EXIT_CODES.failed
      }
      await client.withdrawAdmission(meant.id)
      process.stdout.write(`withdrawn  ${meant.folder}\n`)
      return EXIT_CODES.succeeded
    })
  },
}
