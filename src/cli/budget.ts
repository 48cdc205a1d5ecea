import { parseArgs } from 'node:util'
import { toFieldErrors } from '../protocol/errors.js'
import { parseNumber } from '../protocol/numbers.js'
import { BudgetRequest } from '../protocol/usage.js'
import { EXIT_CODES, requireId, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'

const FLAGS: Readonly<Record<string, string>> = {
  maxBudgetUsd: '--max-budget-usd',
  maxBudgetTokens: '--max-budget-tokens',
}

const toNumber = (text: string | undefined): unknown => (text === undefined ? undefined : parseNumber(text))

export const budget: Command = {
  summary: ['budget <id> --max-budget-usd USD', 'sets what an execution may spend; a parked one continues'],
  usage: `Usage: cc-executor budget [flags] <id>

Sets the limits for all attempts of an execution together. One that was parked at its budget continues.

  --max-budget-usd USD
  --max-budget-tokens N
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, 'max-budget-usd': { type: 'string' }, 'max-budget-tokens': { type: 'string' } },
    })
    const executionId = requireId(positionals)
    const parsed = BudgetRequest.safeParse({
      maxBudgetUsd: toNumber(values['max-budget-usd']),
      maxBudgetTokens: toNumber(values['max-budget-tokens']),
    })
    if (!parsed.success)
      throw new UsageError(
        toFieldErrors(parsed.error)
          .map(({ path, message }) =>
            path === ''
              ? 'expected --max-budget-usd, --max-budget-tokens or both'
              : `${FLAGS[path] ?? path}: ${message}`,
          )
          .join('; '),
      )
    return withService(values.url, async (client) => {
      const { status } = await client.setBudget(executionId, parsed.data)
      process.stdout.write(`${executionId} ${status}\n`)
      return EXIT_CODES.succeeded
    })
  },
}
