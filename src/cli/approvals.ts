/** What runs wait for: listed, shown and decided. */
import { parseArgs } from 'node:util'
import type { Client } from '../client/open-client.js'
import { Approval, ApprovalStatus, FollowingMode, type ApprovalDecision } from '../protocol/approvals.js'
import { EXIT_CODES, requireId, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toLine, toPrintable, toTable } from './print.js'
import { describeApproval, readAnswer } from './show-approval.js'

const PAGE = 200

function toStatuses(text: string | undefined): ApprovalStatus[] | undefined {
  return text?.split(',').map((word) => {
    const { data } = ApprovalStatus.safeParse(word)
    if (data === undefined)
      throw new UsageError(`--status: ${JSON.stringify(word)}; ${ApprovalStatus.options.join(', ')}`)
    return data
  })
}

const toRow = ({ id, executionId, status, tool, input, requestedAt, decidedBy }: Approval): string[] => [
  id,
  executionId,
  decidedBy === undefined ? status : toPrintable(`${status} by ${decidedBy}`),
  requestedAt,
  toPrintable(tool),
  toLine(JSON.stringify(input), 60),
]

async function show(client: Client, id: string, json: boolean): Promise<number> {
  const approval = await client.approval(id)
  if (json) printJson(approval)
  else process.stdout.write(`${toRow(approval).slice(0, 4).join('  ')}\n${describeApproval(approval).join('\n')}\n`)
  return EXIT_CODES.succeeded
}

export const approvals: Command = {
  summary: ['approvals [ID]', 'calls, questions and plans that wait for a decision'],
  usage: `Usage: cc-executor approvals [flags] [ID]

Lists what runs wait for, newest first, or shows one approval. Runs ask with --ask (onPermissionNeeded: "ask").

  --status S                      ${ApprovalStatus.options.join(', ')}; comma-separated; default pending
  --execution ID                  only those of this execution
  --json                          {approvals}, or the approval, as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        status: { type: 'string' },
        execution: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const { json, execution } = values
    const status = toStatuses(values.status)
    if (positionals.length > 0) {
      const id = requireId(positionals)
      return withService(values.url, (client) => show(client, id, json))
    }
    return withService(values.url, async (client) => {
      const found: Approval[] = []
      for (let cursor: string | undefined; ;) {
        const page = await client.approvals({
          limit: PAGE,
          status,
          executionId: execution,
          cursor,
        })
        found.push(...page.approvals)
        if (page.nextCursor === null) break
        cursor = page.nextCursor
      }
      if (json) printJson({ approvals: found })
      else if (found.length > 0) process.stdout.write(`${toTable(found.map(toRow))}\n`)
      return EXIT_CODES.succeeded
    })
  },
}

async function decide(client: Client, id: string, decision: ApprovalDecision, json: boolean): Promise<number> {
  const approval = await client.decide(id, decision)
  if (json) printJson(approval)
  else process.stdout.write(`${approval.id} ${approval.status}\n`)
  return EXIT_CODES.succeeded
}

function toInput(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    const { data } = Approval.shape.input.safeParse(value)
    if (data) return data
  } catch {
    // Told below.
  }
  throw new UsageError('--input: a JSON object is expected')
}

function toMode(text: string): FollowingMode {
  const { data } = FollowingMode.safeParse(text)
  if (data === undefined) throw new UsageError(`--mode: ${FollowingMode.options.join(', ')}`)
  return data
}

/** `1=Postgres`, `2=1,3`, or a text for the only question. @throws UsageError */
function toAnswers({ questions = [] }: Approval, texts: readonly string[]): ApprovalDecision['answers'] {
  return texts.map((text) => {
    const [, number, rest] = /^(\d+)=(.*)$/s.exec(text) ?? []
    const question = questions[number === undefined ? 0 : Number(number) - 1]
    if (!question || (number === undefined && questions.length > 1))
      throw new UsageError(`--answer: expected NUMBER=ANSWER, with a number from 1 to ${questions.length}`)
    return readAnswer(question, rest ?? text)
  })
}

export const approve: Command = {
  summary: ['approve ID', 'allows a call or a plan, or answers questions'],
  usage: `Usage: cc-executor approve [flags] ID

  --for-execution                 also what the approval suggests, for the rest of its execution
  --input JSON                    allows the call with this input instead
  --answer N=ANSWER               of questions: the number or the label of an option (several with commas), or a text (repeatable)
  --mode MODE                     of a plan: the permission mode that follows: ${FollowingMode.options.join(', ')}
  --json                          prints the approval as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...SERVICE_FLAGS,
        'for-execution': { type: 'boolean', default: false },
        input: { type: 'string' },
        answer: { type: 'string', multiple: true },
        mode: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const id = requireId(positionals)
    const { answer, input, mode, json } = values
    const allowed: ApprovalDecision = {
      decision: 'allow',
      appliesTo: values['for-execution'] ? 'execution' : undefined,
      input: input === undefined ? undefined : toInput(input),
      permissionMode: mode === undefined ? undefined : toMode(mode),
    }
    return withService(values.url, async (client) => {
      if (!answer) return decide(client, id, allowed, json)
      const answers = toAnswers(await client.approval(id), answer)
      return decide(client, id, { decision: 'answer', answers }, json)
    })
  },
}

export const deny: Command = {
  summary: ['deny ID', 'denies a call, a plan or questions; the run continues without it'],
  usage: `Usage: cc-executor deny [flags] ID

  --message TEXT                  passed to Claude word for word
  --json                          prints the approval as JSON
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, message: { type: 'string' }, json: { type: 'boolean', default: false } },
    })
    const id = requireId(positionals)
    const { message, json } = values
    return withService(values.url, (client) => decide(client, id, { decision: 'deny', message }, json))
  },
}
