/** Executions that begin by themselves. */
import { parseArgs } from 'node:util'
import type { NewSchedule } from '../client/schedule-calls.js'
import type { Client } from '../client/open-client.js'
import { definedFields } from '../protocol/defined-fields.js'
import type { Schedule } from '../protocol/schedules.js'
import { EXIT_CODES, say, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toPrintable, toTable } from './print.js'
import { readTasks } from './read-tasks.js'
import { readPrompt, REQUEST_FLAGS, toRequest } from './run-flags.js'
import { describeSchedule, toRow } from './show-schedule.js'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

const RULE_FLAGS = {
  cron: { type: 'string' },
  every: { type: 'string' },
  timezone: { type: 'string' },
  overlap: { type: 'string' },
  missed: { type: 'string' },
  'start-at': { type: 'string' },
  'end-at': { type: 'string' },
  paused: { type: 'boolean' },
  tasks: { type: 'string' },
  'idempotency-key': { type: 'string' },
} as const

const VERBS = ['add', 'list', 'show', 'pause', 'resume', 'run', 'remove'] as const

export const schedule: Command = {
  summary: ['schedule add NAME "prompt" | list | show ID | …', 'runs that begin by themselves; see schedule --help'],
  usage: `Usage: cc-executor schedule add NAME --cron "0 3 * * *" [flags] "prompt" | list | show ID | pause ID | resume ID | run ID | remove ID

add makes a schedule that submits the prompt (or the one on standard input) at each of its moments, with the rights and
the budget that the token has then. An ID may be the schedule's name. run starts one execution now and prints its id.

  --cron "M H D M W"              of add: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly
  --every 30m                     of add, in place of --cron: 45s, 30m, 6h, 1d; from 10 s on
  --timezone NAME                 of add: whose clocks --cron is about, such as Europe/Berlin; default UTC
  --overlap skip|queue|cancel     of add: while the last execution runs: skip the moment, wait, or cancel that one
  --missed skip|latest|all        of add: moments while the service was down: none, the latest, or all are made up for
  --start-at DATE, --end-at DATE  of add: no moment before, or after
  --paused                        of add: it starts nothing until it is resumed
  --tasks FILE                    of add: a task list instead of the prompt
  --idempotency-key KEY           of add: the same key and request make no second schedule
  --json                          the schedule, {schedules} or the execution as JSON
${SERVICE_USAGE}
add also takes the flags of run that describe the request (--model, --workspace, --max-budget-usd, …).`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...REQUEST_FLAGS,
        ...SERVICE_FLAGS,
        ...RULE_FLAGS,
        label: { type: 'string', multiple: true },
        json: { type: 'boolean', default: false },
      },
    })
    const { url, json, ...ofAdd } = values
    const [verb = '', subject = '', ...rest] = positionals
    if (!(VERBS as readonly string[]).includes(verb))
      throw new UsageError('expected add NAME, list, show ID, pause ID, resume ID, run ID or remove ID')
    if (verb !== 'list' && subject.trim() === '')
      throw new UsageError(`expected ${verb} ${verb === 'add' ? 'NAME' : 'ID'}`)
    if (verb === 'add') {
      const request = await toNewSchedule(subject, rest, ofAdd)
      const key = ofAdd['idempotency-key']
      return withService(url, async (client) => {
        const made = await client.createSchedule(request, definedFields({ idempotencyKey: key }))
        print(made, json, toRow(made).join('  ').trimEnd())
        return EXIT_CODES.succeeded
      })
    }
    const isExtra = verb === 'list' ? subject !== '' : rest.length > 0
    if (isExtra || Object.values(ofAdd).some((value) => value !== undefined))
      throw new UsageError(`${verb} takes ${verb === 'list' ? '' : 'one ID, '}--json and --url only`)
    return withService(url, (client) => (verb === 'list' ? list(client, json) : act(client, verb, subject, json)))
  },
}

type AddFlags = Partial<Omit<ReturnType<typeof parseArgs>['values'], 'url' | 'json'>>

/** `6h`: a number and its unit. */
function toSeconds(text: string): number {
  const [, amount = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (amount === '') throw new UsageError('--every: expected 45s, 30m, 6h or 1d')
  return Number(amount) * (UNITS[unit] ?? 1)
}

function toDate(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const time = Date.parse(text)
  if (!(Math.abs(time) < Date.parse('9999-12-31'))) throw new UsageError(`${flag}: expected a date`)
  return new Date(time).toISOString()
}

async function toNewSchedule(name: string, prompts: readonly string[], flags: AddFlags): Promise<NewSchedule> {
  // Safe: parseArgs gives what RULE_FLAGS and REQUEST_FLAGS say.
  const { cron, every, timezone, overlap, missed, paused, tasks, label, metadata, ...more } = flags as {
    [Name in keyof typeof RULE_FLAGS]?: string
  } & { label?: string[]; metadata?: string[] }
  const { 'start-at': startAt, 'end-at': endAt, 'idempotency-key': _key, ...request } = more
  if ((cron === undefined) === (every === undefined)) throw new UsageError('give either --cron or --every')
  if (tasks !== undefined && prompts.length > 0) throw new UsageError('give either a prompt or --tasks, not both')
  const what = tasks === undefined ? { prompt: await readPrompt(prompts) } : await readTasks(tasks)
  return definedFields({
    name,
    cron,
    everySeconds: every === undefined ? undefined : toSeconds(every),
    timezone,
    // Safe to call them so: the service names the one that is none.
    overlap: overlap as NewSchedule['overlap'],
    missed: missed as NewSchedule['missed'],
    enabled: paused === undefined ? undefined : false,
    startAt: toDate('--start-at', startAt),
    endAt: toDate('--end-at', endAt),
    request: toRequest(
      what,
      definedFields({ ...request, metadata: label ? [...(metadata ?? []), ...label] : metadata }),
    ),
  })
}

async function listAll(client: Client): Promise<Schedule[]> {
  const found: Schedule[] = []
  for (let cursor: string | undefined; ;) {
    const page = await client.schedules(definedFields({ cursor, limit: 200 }))
    found.push(...page.schedules)
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
  }
}

const print = (value: object, json: boolean, text: string): void =>
  json ? printJson(value) : void process.stdout.write(`${text}\n`)

async function list(client: Client, json: boolean): Promise<number> {
  const found = await listAll(client)
  if (json || found.length > 0) print({ schedules: found }, json, toTable(found.map(toRow)))
  else say('there is no schedule; cc-executor schedule add makes one')
  return EXIT_CODES.succeeded
}

/** By its id, or by its name where one has it; who administers sees those of several tokens. */
async function findId(client: Client, subject: string): Promise<string> {
  if (/^sch_[0-9a-f]{32}$/.test(subject)) return subject
  const named = (await listAll(client)).filter(({ name }) => name === subject)
  const [one, second] = named
  if (one && !second) return one.id
  throw new UsageError(
    one
      ? `several schedules are named ${JSON.stringify(subject)}; give the id of one: ${named.map(({ id }) => id).join(', ')}`
      : `there is no schedule ${JSON.stringify(subject)}; cc-executor schedule list shows them`,
  )
}

async function act(client: Client, verb: string, subject: string, json: boolean): Promise<number> {
  const id = await findId(client, subject)
  switch (verb) {
    case 'show': {
      const shown = await client.schedule(id)
      print(shown, json, describeSchedule(shown))
      break
    }
    case 'run': {
      const execution = await client.runSchedule(id)
      print(execution, json, execution.id)
      break
    }
    case 'remove':
      await client.removeSchedule(id)
      print({ id }, json, `removed  ${id}`)
      break
    default: {
      const changed = await client.changeSchedule(id, { enabled: verb === 'resume' })
      print(changed, json, `${verb}d  ${id}  ${toPrintable(changed.name)}`)
    }
  }
  return EXIT_CODES.succeeded
}
