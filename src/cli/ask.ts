import { createInterface } from 'node:readline/promises'
import type { ClientError } from '../client/client-error.js'
import type { Client } from '../client/open-client.js'
import type { Approval, ApprovalDecision } from '../protocol/approvals.js'
import type { Event } from '../protocol/events.js'
import { say } from './command.js'
import { describeApproval, describeChoices, readAnswer, readDecision, sayHowToDecide } from './show-approval.js'

/** Asks on the terminal what a run asks; several approvals wait in line. */
export interface TerminalAsker {
  /** Takes what concerns approvals; the others pass. */
  note(event: Event): void
  close(): void
}

/** Lines of standard input, one at a time; undefined: there are no more, or it is decided by now. */
function openLines(): { next(prompt: string, over: AbortSignal): Promise<string | undefined>; close(): void } {
  const { stdin: input, stderr: output } = process
  const reader = createInterface({ input, output, terminal: input.isTTY && output.isTTY })
  // What comes before anybody asks is kept: a script writes all its answers at once.
  const waiting: string[] = []
  let take: ((line: string | undefined) => void) | undefined
  let isOver = false
  reader.on('line', (line) => {
    if (take) take(line)
    else waiting.push(line)
  })
  reader.on('close', () => {
    isOver = true
    take?.(undefined)
  })
  // Ctrl-C belongs to the run.
  reader.on('SIGINT', () => process.emit('SIGINT'))
  return {
    next(prompt, over) {
      output.write(prompt)
      const line = waiting.shift()
      if (line !== undefined || isOver || over.aborted) return Promise.resolve(over.aborted ? undefined : line)
      return new Promise((resolve) => {
        const finish = (given: string | undefined): void => {
          take = undefined
          over.removeEventListener('abort', leave)
          resolve(given)
        }
        const leave = (): void => finish(undefined)
        over.addEventListener('abort', leave, { once: true })
        take = finish
      })
    },
    close: () => reader.close(),
  }
}

export function openTerminalAsker(client: Client): TerminalAsker {
  const lines = openLines()
  const closed = new Map<string, AbortController>()
  let asking = Promise.resolve()

  async function ask(approval: Approval, over: AbortSignal): Promise<void> {
    if (over.aborted) return
    process.stderr.write(`\n${describeApproval(approval).join('\n')}\n`)
    const decision = await readFrom(approval, over)
    if (over.aborted) return say('it was decided elsewhere')
    if (!decision) return say(`nothing more can be read here; ${sayHowToDecide(approval)}`)
    await client.decide(approval.id, decision).catch((error: ClientError) => say(error.message))
  }

  async function readFrom(approval: Approval, over: AbortSignal): Promise<ApprovalDecision | undefined> {
    const { kind, questions = [] } = approval
    if (kind !== 'question') {
      for (;;) {
        const line = await lines.next(describeChoices(approval), over)
        const decision = line === undefined ? undefined : readDecision(approval, line)
        if (line === undefined || decision) return decision
      }
    }
    const answers = []
    for (const question of questions) {
      const line = await lines.next(`${question.index + 1} > `, over)
      if (line === undefined) return undefined
      if (line.trim() !== '') answers.push(readAnswer(question, line))
    }
    return answers.length > 0 ? { decision: 'answer', answers } : { decision: 'deny', message: 'Nobody answered.' }
  }

  return {
    note({ type, data }) {
      if (type === 'approval.requested') {
        const { approval } = data as Event<'approval.requested'>['data']
        const over = new AbortController()
        closed.set(approval.id, over)
        asking = asking.then(() => ask(approval, over.signal))
      } else if ('approvalId' in data) closed.get(data.approvalId)?.abort()
    },
    close() {
      for (const over of closed.values()) over.abort()
      lines.close()
    },
  }
}
