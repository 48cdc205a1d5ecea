import type { SentAttachment } from '../protocol/attachments.js'
import type { Receipt, ReceiptMessage } from '../protocol/receipt.js'
import type { BudgetChange } from '../protocol/usage.js'
import type { GitHead } from '../protocol/verification.js'

/** What a run can choose (paths, arguments) must not become markup. */
const toCode = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').replaceAll(/\p{Cc}/gu, '')
  const fence = '`'.repeat(Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length)) + 1)
  return `${fence}${fence.length > 1 ? ` ${line} ` : line}${fence}`.replaceAll('|', '\\|')
}

const row = (name: string, value: string | number | undefined): string =>
  value === undefined ? '' : `| ${name} | ${value} |\n`

const toHead = ({ ref, commit }: GitHead = {}): string =>
  ref === undefined && commit === undefined
    ? 'none'
    : toCode([ref, commit].filter((part) => part !== undefined).join(' '))

const toAttachment = ({ mediaType, path, bytes, sha256 }: SentAttachment): string =>
  [
    path === undefined ? mediaType : `${toCode(path)} (${mediaType})`,
    bytes === undefined ? undefined : `${bytes} bytes`,
    sha256 === undefined ? undefined : `SHA-256 ${toCode(sha256)}`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')

const toText = ({ sha256, attachments = [] }: ReceiptMessage): string =>
  [`SHA-256 ${sha256}`, ...attachments.map((each) => `with ${toAttachment(each)}`)].join('<br>')

const toFate = ({ deliveredAt, dropped, followUpId }: ReceiptMessage): string => {
  const fate = deliveredAt === undefined ? dropped && `dropped: ${dropped}` : `delivered ${deliveredAt}`
  return [fate, followUpId && `as execution ${followUpId}`].filter((part) => part !== undefined).join(', ')
}

const toMessages = ({ messages = [] }: Receipt): string =>
  messages.length === 0
    ? ''
    : `## Messages

| accepted | from | text | |
|---|---|---|---|
${messages.map((one) => `| ${one.acceptedAt} | ${toCode(one.by)} | ${toText(one)} | ${toFate(one)} |\n`).join('')}
`

/** Who decided what a run had asked. */
function toApprovals({ approvals = [] }: Receipt): string {
  if (approvals.length === 0) return ''
  const rows = approvals.map(({ tool, toolUseId, status, decidedBy, decidedAt, appliesTo, ...digests }) => {
    const who = decidedBy === undefined ? '' : `by ${toCode(decidedBy)}, ${decidedAt ?? ''}`
    const how = appliesTo === 'execution' ? ', for the rest of the execution' : ''
    const changed = digests.changedInputSha256 === undefined ? '' : `, changed to ${digests.changedInputSha256}`
    return `| ${toCode(tool)} ${toCode(toolUseId)} | ${status}${how} | ${who} | SHA-256 ${digests.inputSha256}${changed} |\n`
  })
  return `## Approvals\n\n| call | | who and when | input |\n|---|---|---|---|\n${rows.join('')}\n`
}

/** The name of a token is anybody's choice. */
const toBudgetChange = ({ at, by, maxBudgetUsd, maxBudgetTokens }: BudgetChange): string => {
  const limits = [
    maxBudgetUsd === undefined ? undefined : `$${maxBudgetUsd}`,
    maxBudgetTokens === undefined ? undefined : `${maxBudgetTokens} tokens`,
  ].filter((limit) => limit !== undefined)
  return `${limits.join(' and ')} by ${toCode(by)} at ${at}`
}

const LIMITS_OF_A_RECEIPT =
  'It shows what this service recorded, not that the answer is right. `cc-executor verify` checks the JSON form of this ' +
  'receipt, which is the one that is signed.'

/** A receipt for people; the signed one is the JSON. */
export function toMarkdown(receipt: Receipt): string {
  const { process: started, outcome, result, usage, events, signature, files, verification } = receipt
  const ending = [
    outcome.code,
    outcome.exitCode === undefined ? undefined : `exit code ${outcome.exitCode}`,
    outcome.signal,
  ].filter((part) => part !== undefined)
  const simulated = receipt.simulated ? ' — simulated: a scripted model answered, not Claude' : ''
  return `# Receipt of ${receipt.executionId}

**${outcome.status}**${ending.length > 0 ? ` (${ending.join(', ')})` : ''}${simulated}

| | |
|---|---|
${[
  row('accepted', receipt.createdAt),
  row('started', receipt.startedAt),
  row('finished', receipt.finishedAt),
  row('attempts', receipt.attempt),
  row('workspace', toCode(receipt.workspace)),
  row('worker', started && toCode(started.workerId)),
  row('Claude CLI', started && toCode(started.claudeVersion)),
  row('model asked for', started?.model && toCode(started.model)),
  row('session', started && toCode(started.sessionId)),
  row('command', started && toCode(started.argv.join(' '))),
  row('request', `SHA-256 ${receipt.requestDigest}`),
  row('attachments', receipt.attachments?.map(toAttachment).join('<br>')),
  row('answer', result && `${result.bytes} bytes${outcome.isPartial ? ', partial' : ''}, SHA-256 ${result.sha256}`),
  row('stop reason', outcome.stopReason && toCode(outcome.stopReason)),
  row('unfinished', outcome.unfinished && `${outcome.unfinished} background tasks or tool calls`),
  row('denied tool calls', outcome.permissionDenials),
  row('files', files && `${files.created} created, ${files.modified} modified, ${files.deleted} deleted`),
  row('git HEAD', files?.head && `${toHead(files.head.before)} before, ${toHead(files.head.after)} after`),
  row('verification', verification?.status),
  row(
    'tokens',
    `${usage.inputTokens} in, ${usage.outputTokens} out, ${usage.cacheReadTokens} read from cache, ` +
      `${usage.cacheCreationTokens} written to it`,
  ),
  row(
    'cost',
    `$${usage.costUsd.toFixed(4)} by the CLI’s own ` +
      `estimate${usage.isCostIncomplete ? '; not complete: an attempt ended without its sum' : ''}`,
  ),
  row('budget changes', receipt.budgetChanges?.map(toBudgetChange).join('<br>')),
  row('turns', usage.turns),
  row('duration', `${usage.durationMs} ms`),
  row('events', `${events.count}, chain head ${events.head}`),
  row('signed with', `Ed25519, key ${toCode(signature.keyId)}`),
].join('')}
${toApprovals(receipt)}${
    verification
      ? `## Checks

| check | | |
|---|---|---|
${verification.checks
  .map(
    ({ name, status, detail }) => `| ${name} | ${status} | ${toCode(detail)} |
`,
  )
  .join('')}
`
      : ''
  }${toMessages(receipt)}${LIMITS_OF_A_RECEIPT}
`
}
