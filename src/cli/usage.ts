import { parseArgs } from 'node:util'
import { USAGE_GROUPS, type UsageGroup, type UsageRow } from '../protocol/usage.js'
import { EXIT_CODES, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toTable } from './print.js'

const isGroup = (text: string): text is UsageGroup => (USAGE_GROUPS as readonly string[]).includes(text)

const HEADER = ['executions', 'succeeded', 'in', 'out', 'cache read', 'cache made', 'usd'] as const
const toCells = (row: UsageRow): string[] =>
  [row.executions, row.succeeded, row.inputTokens, row.outputTokens, row.cacheReadTokens, row.cacheCreationTokens]
    .map(String)
    .concat(row.costUsd.toFixed(4))

export const usage: Command = {
  summary: ['usage [--from DAY] [--to DAY] [--by G,G]', 'usage by day, model and token'],
  usage: `Usage: cc-executor usage [flags]

  --from DAY, --to DAY            UTC days, such as 2026-11-22; default the last 30
  --by GROUP                      day (default), model, token, credential; comma-separated
  --token NAME                    usage of another token, or '*' for all; requires the admin scope
  --json                          as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        ...SERVICE_FLAGS,
        from: { type: 'string' },
        to: { type: 'string' },
        by: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean' },
      },
    })
    const groupBy = (values.by ?? 'day').split(',').map((group) => (isGroup(group) ? group : refuseGroup(group)))
    const { from, to, token } = values
    for (const [name, day] of Object.entries({ '--from': from, '--to': to })) {
      if (day !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(day))
        throw new UsageError(`${name}: expected a day such as 2026-11-22, not ${JSON.stringify(day)}`)
    }
    return withService(values.url, async (client) => {
      const report = await client.usage({
        groupBy,
        from,
        to,
        token,
      })
      if (values.json) {
        printJson(report)
        return EXIT_CODES.succeeded
      }
      const lines = report.rows.map((row) => [...report.groupBy.map((group) => row[group] ?? ''), ...toCells(row)])
      const total = report.groupBy.map((_group, index) => (index === 0 ? 'total' : ''))
      const table = toTable([[...report.groupBy, ...HEADER], ...lines, [...total, ...toCells(report.total)]])
      process.stdout.write(`${table}\n`)
      say(report.note)
      return EXIT_CODES.succeeded
    })
  },
}

function refuseGroup(group: string): never {
  throw new UsageError(`--by: expected ${USAGE_GROUPS.join(', ')}, not ${JSON.stringify(group)}`)
}
