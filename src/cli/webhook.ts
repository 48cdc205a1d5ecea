/** Webhooks: who is told when an execution has ended, and what became of each delivery. */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Client } from '../client/open-client.js'
import {
  DELIVERY_STATUSES,
  WEBHOOK_TYPES,
  type Delivery,
  type DeliveryStatus,
  type Webhook,
} from '../protocol/webhooks.js'
import { EXIT_CODES, say, toWholeNumber, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toLine, toPrintable, toTable } from './print.js'

const PAGE = 200
const SHOWN = 20
/** An attempt takes CC_EXECUTOR_WEBHOOK_TIMEOUT_SECONDS, 60 at most. */
const TEST_WAIT_MS = 75_000
const LOOK_MS = 200

async function listAll(client: Client): Promise<Webhook[]> {
  const found: Webhook[] = []
  for (let cursor: string | undefined; ;) {
    const page = await client.webhooks({ cursor, limit: PAGE })
    found.push(...page.webhooks)
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
  }
}

function toState({ enabled, disabledReason, failingSince }: Webhook): string {
  if (!enabled) return `disabled (${disabledReason ?? 'request'})`
  return failingSince === undefined ? 'enabled' : `failing since ${failingSince}`
}

const toRow = (webhook: Webhook): string[] => [
  webhook.id,
  toState(webhook),
  webhook.events.join(','),
  webhook.allTokens ? 'all tokens' : '',
  toPrintable(webhook.url),
]

function describeLast({ attempts, status, nextAttemptAt }: Delivery): string {
  const last = attempts.at(-1)
  const why = last && [last.error, last.status, last.detail].filter((part) => part !== undefined).join(' ')
  return [why, status === 'pending' && last ? `next attempt ${nextAttemptAt ?? 'soon'}` : ''].filter(Boolean).join(', ')
}

const toDeliveryRow = (delivery: Delivery): string[] => [
  delivery.id,
  delivery.createdAt,
  delivery.type,
  delivery.status,
  toPrintable(describeLast(delivery)),
]

function toStatuses(text: string | undefined): DeliveryStatus[] | undefined {
  const names = text?.split(',')
  const wrong = names?.find((name) => !(DELIVERY_STATUSES as readonly string[]).includes(name))
  if (wrong !== undefined)
    throw new UsageError(`--status: there is no ${JSON.stringify(wrong)}; ${DELIVERY_STATUSES.join(', ')}`)
  return names && DELIVERY_STATUSES.filter((status) => names.includes(status))
}

const VERBS = ['add', 'list', 'test', 'deliveries', 'remove']

export const webhook: Command = {
  summary: ['webhook add URL | list | test ID | …', 'tells a URL when executions start, wait or end'],
  usage: `Usage: cc-executor webhook add URL [flags] | list | test ID | deliveries ID [flags] | remove ID

add prints the secret that signs each delivery (Standard Webhooks), which is not shown again; test sends one delivery
and shows what came of it; deliveries shows the newest ones with their last attempt; remove ends a webhook and what
waits for it. Requires a token with the scope execute.

  --events LIST                   of add: ${WEBHOOK_TYPES.slice(0, 3).join(', ')},
                                  ${WEBHOOK_TYPES.slice(3).join(', ')}, or patterns
                                  such as execution.*, comma-separated; default all
  --description TEXT              of add: for people
  --all-tokens                    of add: executions of every token (scope admin)
  --status S                      of deliveries: ${DELIVERY_STATUSES.join(', ')}, comma-separated; default all
  --limit N                       of deliveries: how many; default ${SHOWN}
  --redeliver DELIVERY            of deliveries: send this one again
  --json                          what the service answers, as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        events: { type: 'string' },
        description: { type: 'string' },
        'all-tokens': { type: 'boolean' },
        status: { type: 'string' },
        limit: { type: 'string' },
        redeliver: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const [verb = '', subject = '', ...others] = positionals
    const isComplete = (verb === 'list') === (subject.trim() === '')
    if (!VERBS.includes(verb) || !isComplete || others.length > 0)
      throw new UsageError('expected add URL, list, test ID, deliveries ID or remove ID')
    const { json, url, events, description, 'all-tokens': allTokens, status, limit, redeliver } = values
    if (verb !== 'add' && [events, description, allTokens].some((value) => value !== undefined))
      throw new UsageError(`${verb} takes no --events, --description or --all-tokens`)
    if (verb !== 'deliveries' && [status, limit, redeliver].some((value) => value !== undefined))
      throw new UsageError(`${verb} takes no --status, --limit or --redeliver`)
    const statuses = toStatuses(status)
    const count = Math.min(toWholeNumber('--limit', limit) ?? SHOWN, PAGE)
    return withService(url, async (client) => {
      switch (verb) {
        case 'add':
          return add(client, { url: subject, events: events?.split(','), description, allTokens }, json)
        case 'list':
          return list(client, json)
        case 'test':
          return test(client, subject, json)
        case 'remove':
          return remove(client, subject, json)
        default:
          return redeliver === undefined
            ? deliveries(client, subject, { status: statuses, limit: count }, json)
            : again(client, subject, redeliver, json)
      }
    })
  },
}

/** The secret alone on standard output, so that a script can take it; what it is stands on standard error. */
async function add(client: Client, request: Parameters<Client['createWebhook']>[0], json: boolean): Promise<number> {
  const made = await client.createWebhook(request)
  if (json) printJson(made)
  else {
    say(`made ${made.id}; its secret is not shown again`)
    process.stdout.write(`${made.secret}\n`)
  }
  return EXIT_CODES.succeeded
}

async function list(client: Client, json: boolean): Promise<number> {
  const found = await listAll(client)
  if (json) printJson({ webhooks: found })
  else process.stdout.write(`${toTable(found.map(toRow))}\n`)
  return EXIT_CODES.succeeded
}

async function find(client: Client, webhookId: string, deliveryId: string): Promise<Delivery | undefined> {
  return (await client.deliveries(webhookId, { limit: PAGE })).deliveries.find(({ id }) => id === deliveryId)
}

async function test(client: Client, id: string, json: boolean): Promise<number> {
  let delivery: Delivery | undefined = await client.testWebhook(id)
  const { id: deliveryId } = delivery
  for (const until = performance.now() + TEST_WAIT_MS; delivery?.status === 'pending' && performance.now() < until;) {
    await delay(LOOK_MS)
    delivery = await find(client, id, deliveryId)
  }
  if (json) printJson(delivery)
  else process.stdout.write(`${delivery ? toTable([toDeliveryRow(delivery)]) : `${deliveryId}  not kept`}\n`)
  return delivery?.status === 'delivered' ? EXIT_CODES.succeeded : EXIT_CODES.failed
}

async function deliveries(
  client: Client,
  id: string,
  query: Parameters<Client['deliveries']>[1],
  json: boolean,
): Promise<number> {
  const page = await client.deliveries(id, query)
  if (json) printJson(page)
  else process.stdout.write(`${toTable(page.deliveries.map(toDeliveryRow))}\n`)
  return EXIT_CODES.succeeded
}

async function again(client: Client, id: string, deliveryId: string, json: boolean): Promise<number> {
  const delivery = await client.redeliver(id, deliveryId)
  if (json) printJson(delivery)
  else process.stdout.write(`${delivery.id} is sent again\n`)
  return EXIT_CODES.succeeded
}

async function remove(client: Client, id: string, json: boolean): Promise<number> {
  const found = await client.webhook(id)
  await client.deleteWebhook(id)
  if (json) printJson(found)
  else process.stdout.write(`removed  ${found.id}  ${toLine(found.url)}\n`)
  return EXIT_CODES.succeeded
}
