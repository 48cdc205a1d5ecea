/** Tokens that the service makes, with a term and limits; `token` prints the one of the data folder. */
import { parseArgs } from 'node:util'
import type { Client } from '../client/open-client.js'
import { WATCHING_SCOPES, SCOPES, type Token, type TokenRequest } from '../protocol/tokens.js'
import { EXIT_CODES, say, toWholeNumber, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toPrintable, toTable } from './print.js'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** `30d`, `12h`, `45m`, `90s` from now, or a date. */
function toExpiry(text: string): string {
  const [, amount, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const time = amount === undefined ? Date.parse(text) : Date.now() + Number(amount) * (UNITS[unit] ?? 1) * 1_000
  // Beyond that a date has no ISO form of four digits.
  if (!(time < Date.parse('9999-12-31'))) throw new UsageError('--expires: expected 30d, 12h, 45m or a date')
  return new Date(time).toISOString()
}

function toScopes(text: string | undefined, executionId: string | undefined): TokenRequest['scopes'] {
  const names = text?.split(/[,+]/) ?? ['read', ...(executionId === undefined ? ['execute'] : [])]
  const wrong = names.find((name) => !(SCOPES as readonly string[]).includes(name))
  if (wrong !== undefined) throw new UsageError(`--scopes: there is no ${JSON.stringify(wrong)}; ${SCOPES.join(', ')}`)
  return SCOPES.filter((scope) => names.includes(scope))
}

async function listAll(client: Client): Promise<Token[]> {
  const found: Token[] = []
  for (let cursor: string | undefined; ;) {
    const page = await client.tokens({ cursor, limit: 200 })
    found.push(...page.tokens)
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
  }
}

const toRow = ({ id, name, scopes, origin, status, expiresAt, executionId }: Token): string[] => [
  id,
  toPrintable(name),
  scopes.join('+'),
  status === 'expired' ? 'expired' : (expiresAt ?? 'no expiry'),
  executionId === undefined ? (origin === 'api' ? '' : origin) : `execution ${executionId}`,
]

export const tokens: Command = {
  summary: ['tokens add NAME | list | revoke ID', 'tokens with an expiry date and limits, for others'],
  usage: `Usage: cc-executor tokens add NAME [flags] | list [flags] | revoke ID|NAME [flags]

add prints the secret of a new token, which is not shown again; list shows all tokens; revoke takes effect immediately
and closes the token's connections. Requires a token with the scope admin.

  --scopes S                      of add: ${SCOPES.join(', ')}, comma-separated; default read,execute
  --expires WHEN                  of add: 30d, 12h, 45m from now, or a date; default never
  --daily-usd N                   of add: what it may spend on a UTC day
  --daily-tokens N                of add: what it may use on a UTC day
  --max-concurrent N              of add: how many of its executions may run at the same time
  --execution ID                  of add: it may only watch this execution (scopes ${WATCHING_SCOPES.join(', ')})
  --json                          the token, or {tokens}, as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        scopes: { type: 'string' },
        expires: { type: 'string' },
        'daily-usd': { type: 'string' },
        'daily-tokens': { type: 'string' },
        'max-concurrent': { type: 'string' },
        execution: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const [verb, subject, ...others] = positionals
    const isComplete = verb === 'list' ? subject === undefined : subject !== undefined && subject.trim() !== ''
    if (!['add', 'list', 'revoke'].includes(verb ?? '') || !isComplete || others.length > 0)
      throw new UsageError('expected add NAME, list, or revoke ID')
    const { json, url, scopes, expires, execution, 'daily-usd': dailyUsd, 'daily-tokens': dailyTokens } = values
    const ofAdd = [scopes, expires, execution, dailyUsd, dailyTokens, values['max-concurrent']]
    if (verb !== 'add' && ofAdd.some((value) => value !== undefined))
      throw new UsageError(`${verb} takes --json and --url only`)
    if (verb === 'list') return withService(url, (client) => list(client, json))
    if (verb === 'revoke') return withService(url, (client) => revoke(client, subject ?? '', json))
    const request: TokenRequest = {
      name: subject ?? '',
      scopes: toScopes(scopes, execution),
      expiresAt: expires === undefined ? undefined : toExpiry(expires),
      dailyBudgetUsd: dailyUsd === undefined ? undefined : toDollars(dailyUsd),
      dailyBudgetTokens: toWholeNumber('--daily-tokens', dailyTokens),
      maxConcurrent: toWholeNumber('--max-concurrent', values['max-concurrent']),
      executionId: execution,
    }
    return withService(url, (client) => add(client, request, json))
  },
}

function toDollars(text: string): number {
  if (!/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) throw new UsageError('--daily-usd: expected an amount such as 2.50')
  return Number(text)
}

/** The secret alone on standard output, so that a script can take it; what it is stands on standard error. */
async function add(client: Client, request: TokenRequest, json: boolean): Promise<number> {
  const made = await client.createToken(request)
  if (json) printJson(made)
  else {
    say(`made ${made.id}; its secret is not shown again`)
    process.stdout.write(`${made.secret}\n`)
  }
  return EXIT_CODES.succeeded
}

async function list(client: Client, json: boolean): Promise<number> {
  const found = await listAll(client)
  if (json) printJson({ tokens: found })
  else process.stdout.write(`${toTable(found.map(toRow))}\n`)
  return EXIT_CODES.succeeded
}

async function revoke(client: Client, subject: string, json: boolean): Promise<number> {
  const named = (await listAll(client)).filter(({ id, name }) => id === subject || name === subject)
  const meant = named.filter(({ id }) => id === subject)
  const [token, second] = meant.length > 0 ? meant : named
  if (!token || second) {
    say(
      token
        ? `several tokens are named ${JSON.stringify(subject)}; give the id of one: ${named.map(({ id }) => id).join(', ')}`
        : `there is no token ${JSON.stringify(subject)}; cc-executor tokens list shows them`,
    )
    return EXIT_CODES.failed
  }
  await client.revokeToken(token.id)
  if (json) printJson(token)
  else process.stdout.write(`revoked  ${token.id}  ${toPrintable(token.name)}\n`)
  return EXIT_CODES.succeeded
}
