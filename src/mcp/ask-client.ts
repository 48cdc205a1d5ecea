import type { ClientCapabilities, McpServer, ServerContext } from '@modelcontextprotocol/server'
import type { Approval, ApprovalDecision, ApprovalQuestion, QuestionAnswer } from '../protocol/approvals.js'

export type Form = Parameters<ServerContext['mcpReq']['elicitInput']>[0] & { mode?: 'form' }
type Schema = Extract<Form, { requestedSchema: unknown }>['requestedSchema']
type Content = Readonly<Record<string, unknown>>

/** What a client answers to a form. */
export interface FormAnswer {
  readonly action: string
  readonly content?: Content | undefined
}

/** Shows a form to the person at the client. undefined: it could not be asked, or nobody answered. */
export type Elicit = (
  form: Form,
  approval: Approval,
  context: ServerContext,
  signal: AbortSignal,
) => Promise<FormAnswer | undefined>

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

export const toForm = (approval: Approval): Form =>
  approval.kind === 'question' ? toQuestionForm(approval.questions ?? []) : toDecisionForm(approval)

/** undefined: nothing was decided, and the approval stays pending. */
export function readAnswer({ kind, questions = [] }: Approval, answer: FormAnswer): ApprovalDecision | undefined {
  const { action, content = {} } = answer
  if (action === 'decline') return { decision: 'deny' }
  if (action !== 'accept') return undefined
  return kind === 'question' ? readAnswers(questions, content) : readDecision(content)
}

/** Before modes were known, elicitation was by form. */
export const takesForms = (capabilities: ClientCapabilities | undefined): boolean =>
  capabilities?.elicitation !== undefined &&
  (capabilities.elicitation.form !== undefined || capabilities.elicitation.url === undefined)

/** On a lasting connection, where requests go both ways: revisions before 2026. */
export const createConnectionElicit =
  (server: Pick<McpServer, 'server'>): Elicit =>
  async (form, _approval, { mcpReq }, signal) => {
    if (!takesForms(server.server.getClientCapabilities()) || signal.aborted) return undefined
    try {
      return await mcpReq.elicitInput(form, { signal, timeout: 60_000 })
    } catch {
      return undefined
    }
  }
