import type { McpServer, ServerContext } from '@modelcontextprotocol/server'
import type { Approval, ApprovalDecision, ApprovalQuestion, QuestionAnswer } from '../protocol/approvals.js'

/** Asks the person at the client. undefined: it could not be asked, or nobody answered: the approval stays pending. */
export type AskClient = (
  approval: Approval,
  context: ServerContext,
  signal: AbortSignal,
) => Promise<ApprovalDecision | undefined>

type Form = Parameters<ServerContext['mcpReq']['elicitInput']>[0] & { mode?: 'form' }
type Schema = Extract<Form, { requestedSchema: unknown }>['requestedSchema']
type Content = Readonly<Record<string, unknown>>

const INPUT_SHOWN = 4_000
const ALLOW = 'allow'
const ALLOW_ALL = 'allow for this execution'
const DENY = 'deny'

const toText = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value : undefined

function describeInput({ tool, kind, input, reason, suggestions }: Approval): string {
  const shown =
    kind === 'tool' && typeof input['command'] === 'string'
      ? input['command']
      : kind === 'plan'
        ? (toText(input['plan']) ?? 'The plan is in what Claude has written before.')
        : JSON.stringify(input, undefined, 2)
  return [
    kind === 'plan' ? 'Claude has made a plan:' : `Claude asks for permission to use ${tool}:`,
    shown.slice(0, INPUT_SHOWN),
    ...(reason === undefined ? [] : [`Because: ${reason}`]),
    ...(suggestions.length > 0 ? [`"${ALLOW_ALL}" allows: ${suggestions.join(', ')}`] : []),
  ].join('\n')
}

function toDecisionForm(approval: Approval): Form {
  const choices = approval.suggestions.length > 0 ? [ALLOW, ALLOW_ALL, DENY] : [ALLOW, DENY]
  return {
    mode: 'form',
    message: describeInput(approval),
    requestedSchema: {
      type: 'object',
      properties: {
        decision: { type: 'string', title: 'Decision', enum: choices },
        message: { type: 'string', title: 'Message to Claude with a denial' },
      },
      required: ['decision'],
    },
  }
}

function readDecision(content: Content): ApprovalDecision | undefined {
  const message = toText(content['message'])
  switch (content['decision']) {
    case ALLOW:
      return { decision: 'allow' }
    case ALLOW_ALL:
      return { decision: 'allow', appliesTo: 'execution' }
    case DENY:
      return { decision: 'deny', message }
    default:
      return undefined
  }
}

/** One field a question: options to choose from, where one is chosen; a text takes several, and anything else. */
function toQuestionForm(questions: readonly ApprovalQuestion[]): Form {
  const properties: Schema['properties'] = {}
  for (const { index, question, header, options, multiSelect } of questions) {
    const labels = options.map(({ label }) => label)
    const title = header ?? `Question ${index + 1}`
    if (multiSelect || labels.length === 0) {
      const offered = labels.length === 0 ? '' : ` One or several of: ${labels.join(', ')} (with commas), or a text.`
      properties[`answer${index}`] = { type: 'string', title, description: `${question}${offered}` }
    } else {
      properties[`answer${index}`] = { type: 'string', title, description: question, enum: labels }
      properties[`text${index}`] = { type: 'string', title: `${title}: another answer, or a note` }
    }
  }
  return { mode: 'form', message: 'Claude asks:', requestedSchema: { type: 'object', properties, required: [] } }
}

function readAnswers(questions: readonly ApprovalQuestion[], content: Content): ApprovalDecision | undefined {
  const answers = questions.flatMap(({ index, options, multiSelect }): QuestionAnswer[] => {
    const answer = toText(content[`answer${index}`])
    const text = toText(content[`text${index}`])
    const parts = multiSelect ? (answer ?? '').split(',').map((part) => part.trim()) : [answer ?? '']
    const labels = parts.filter((part) => options.some(({ label }) => label === part))
    if (answer !== undefined && labels.length === parts.length) return [{ questionIndex: index, labels, text }]
    const said = answer ?? text
    return said === undefined ? [] : [{ questionIndex: index, text: said }]
  })
  return answers.length > 0 ? { decision: 'answer', answers } : undefined
}

/**
 * By elicitation, where the client says that it can. Revisions from 2026 on ask in another way, in which a call is sent
 * again: their clients are told of the tools.
 */
export const createAskClient =
  (server: Pick<McpServer, 'server'>): AskClient =>
  async (approval, { mcpReq }, signal) => {
    const { elicitation } = server.server.getClientCapabilities() ?? {}
    if (elicitation === undefined || signal.aborted) return undefined
    const { kind, questions = [] } = approval
    const form = kind === 'question' ? toQuestionForm(questions) : toDecisionForm(approval)
    try {
      const { action, content = {} } = await mcpReq.elicitInput(form, { signal, timeout: 60_000 })
      if (action === 'decline') return { decision: 'deny' }
      if (action !== 'accept') return undefined
      return kind === 'question' ? readAnswers(questions, content) : readDecision(content)
    } catch {
      return undefined
    }
  }
