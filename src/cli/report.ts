import { parseArgs } from 'node:util'
import { listUpTo } from '../client/list-up-to.js'
import { toCheckedExecution, type CheckedExecution } from '../protocol/checked-execution.js'
import { EXIT_CODES, say, toWholeNumber, UsageError, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'
import { printJson, toLine, toPrintable, toTable } from './print.js'

const DEFAULT_COUNT = 10
const PROMPT_LENGTH = 40

const count = ({ verification }: CheckedExecution, wanted: string): number =>
  verification.checks.filter(({ status }) => status === wanted).length

function toCells(execution: CheckedExecution): string[] {
  const { executionId, finishedAt = '', status, code, verification, prompt, taskCount } = execution
  const counts = ['pass', 'fail', 'skip'].map((wanted) => String(count(execution, wanted)))
  return [
    executionId,
    finishedAt,
    code === undefined ? status : `${status} (${code})`,
    verification.status,
    ...counts,
    toLine(taskCount === undefined ? prompt : `(${taskCount} tasks) ${prompt}`, PROMPT_LENGTH),
  ]
}

/** What failed stands below the line that counts it. */
function toRows(executions: readonly CheckedExecution[]): string {
  const [header = '', ...lines] = toTable([
    ['execution', 'finished', 'status', 'checks', 'pass', 'fail', 'skip', 'task'],
    ...executions.map(toCells),
  ]).split('\n')
  const failed = ({ verification }: CheckedExecution): string[] =>
    verification.checks
      .filter(({ status }) => status === 'fail')
      .map(({ name, detail }) => `  ${name} failed: ${toLine(toPrintable(detail))}`)
  return [header, ...executions.flatMap((execution, index) => [lines[index] ?? '', ...failed(execution)])].join('\n')
}

export const report: Command = {
  summary: ['report [N] [--parent ID] [--json]', 'the newest executions with their checks'],
  usage: `Usage: cc-executor report [flags] [N]

The newest N executions (default ${DEFAULT_COUNT}): how each ended, and the results of the service's checks.
"none" means that nothing was checked; it does not mean success.

  --parent ID                     the tasks of this list, which are omitted otherwise
  --json                          as JSON: {executions}
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, parent: { type: 'string' }, json: { type: 'boolean' } },
    })
    const [wanted, ...others] = positionals
    const number = toWholeNumber('N', wanted) ?? DEFAULT_COUNT
    if (number === 0 || others.length > 0) throw new UsageError('expected one number, 1 or more')
    return withService(values.url, async (client) => {
      const page = await listUpTo(client, number, values.parent === undefined ? {} : { parentId: values.parent })
      const executions = page.executions.map(toCheckedExecution)
      if (values.json) printJson({ executions })
      else if (executions.length === 0) say('there is no execution yet')
      else process.stdout.write(`${toRows(executions)}\n`)
      return EXIT_CODES.succeeded
    })
  },
}
