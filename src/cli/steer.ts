import { parseArgs } from 'node:util'
import { isTerminal } from '../protocol/terminal-status.js'
import { EXIT_CODES, requireId, type Command } from './command.js'
import { SERVICE_FLAGS, SERVICE_USAGE, withService } from './find-service.js'

/** A request is recorded at once; the events tell when it is done. */
const toSteering = (name: 'cancel' | 'pause' | 'resume', doing: string, what: string): Command => ({
  summary: [`${name} <id>`, what],
  usage: `Usage: cc-executor ${name} [flags] <id>

  --reason TEXT                   kept with the execution's events
${SERVICE_USAGE}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...SERVICE_FLAGS, reason: { type: 'string' } },
    })
    const executionId = requireId(positionals)
    return withService(values.url, async (client) => {
      const { status } = await client[name](executionId, {
        reason: values.reason,
      })
      process.stdout.write(`${executionId} ${isTerminal(status) ? status : doing}\n`)
      return EXIT_CODES.succeeded
    })
  },
})

export const cancel = toSteering('cancel', 'cancelling', 'ends an execution')
export const pause = toSteering('pause', 'pausing', 'stops its processes until resume')
export const resume = toSteering('resume', 'resuming', 'resumes it')
