/** Cuts a script into replies: what is said in one answer of the API, before the CLI has to ask again. */
import type { Script, Step, StructuredStep, ToolStep, TurnStep } from './script.js'

export type ReplyStep = Exclude<Step, TurnStep>
export type Reply = readonly ReplyStep[]

/**
 * A reply ends
 * - before the first step after a tool call (`tool`, `structured`) that is not a tool call itself: what follows needs
 *   the tools' results; tool calls in a row are parallel calls of one reply;
 * - after `stop`, which the CLI answers by asking for more or by giving up;
 * - at `{"turn":true}`, for whoever wants it elsewhere (two tools one after the other). It makes no empty replies.
 */
export function toReplies(script: Script): Reply[] {
  const replies: Reply[] = []
  let current: ReplyStep[] = []
  const finish = (): void => {
    if (current.length > 0) replies.push(current)
    current = []
  }
  for (const step of script) {
    const previous = current.at(-1)
    if ('turn' in step) {
      finish()
      continue
    }
    if (previous !== undefined && isToolStep(previous) && !isToolStep(step)) finish()
    current.push(step)
    if ('stop' in step) finish()
  }
  finish()
  return replies
}

export function isToolStep(step: Step): step is ToolStep | StructuredStep {
  return 'tool' in step || 'structured' in step
}
