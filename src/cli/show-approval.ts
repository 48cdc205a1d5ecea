import { nameCalls } from '../platform/own-command.js'
import type { Approval, ApprovalDecision, ApprovalQuestion, QuestionAnswer } from '../protocol/approvals.js'
import { toLine, toPrintable } from './print.js'

/** Lines of a diff, of a plan or of an input that a screen shows. */
const LINES_SHOWN = 60
const LINE_SHOWN = 200

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

function toLines(sign: string, text: string): string[] {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const shown = lines.slice(0, LINES_SHOWN).map((line) => `${sign}${toPrintable(line).slice(0, LINE_SHOWN)}`)
  return lines.length > LINES_SHOWN ? [...shown, `  … ${lines.length - LINES_SHOWN} more lines`] : shown
}

interface Edit {
  readonly old_string?: unknown
  readonly new_string?: unknown
}

const toDiff = ({ old_string: before, new_string: after }: Edit): string[] => [
  ...toLines('- ', textOf(before)),
  ...toLines('+ ', textOf(after)),
]

function describeQuestion({ index, question, header, options, multiSelect }: ApprovalQuestion): string[] {
  const how = multiSelect ? 'one or several' : 'one'
  return [
    `${index + 1}. ${toLine(header === undefined ? question : `${header}: ${question}`, LINE_SHOWN)} (${how}, or a text)`,
    ...options.map(
      ({ label, description }, position) =>
        `   ${position + 1}) ${toLine(description === undefined ? label : `${label}: ${description}`, LINE_SHOWN)}`,
    ),
  ]
}

/** What a person must see to decide: the command, the difference, the questions or the plan. */
export function describeApproval({ kind, tool, input, reason, questions = [], inputTruncated }: Approval): string[] {
  const path = textOf(input['file_path']) || textOf(input['notebook_path'])
  const what =
    kind === 'question'
      ? questions.flatMap(describeQuestion)
      : kind === 'plan'
        ? toLines('  ', textOf(input['plan']) || '(the plan is in the text before)')
        : tool === 'Bash'
          ? toLines('$ ', textOf(input['command']))
          : Array.isArray(input['edits'])
            ? [path, ...(input['edits'] as Edit[]).flatMap(toDiff)]
            : typeof input['content'] === 'string'
              ? [path, ...toLines('+ ', input['content'])]
              : typeof input['new_string'] === 'string'
                ? [path, ...toDiff(input)]
                : toLines('  ', JSON.stringify(input, undefined, 2))
  const title = { tool: `${tool} asks for permission`, question: 'Claude asks', plan: 'Claude has made a plan' }[kind]
  return [
    toPrintable(title),
    ...what.map(toPrintable),
    ...(inputTruncated ? ['(shortened here: cc-executor approvals ID shows what is stored of it)'] : []),
    ...(reason === undefined ? [] : [`because: ${toLine(reason, LINE_SHOWN)}`]),
  ]
}

/** How to decide from another terminal. */
export const sayHowToDecide = ({ id, kind }: Approval): string =>
  nameCalls(
    kind === 'question'
      ? `to answer: cc-executor approve ${id} --answer 1=…, or cc-executor deny ${id}`
      : `to decide: cc-executor approve ${id}, or cc-executor deny ${id}`,
  )

/** `2`, `1,3` or a label of an option; anything else is a text. */
export function readAnswer({ index, options, multiSelect }: ApprovalQuestion, text: string): QuestionAnswer {
  const parts = multiSelect ? text.split(',').map((part) => part.trim()) : [text.trim()]
  const labels = parts.map((part) =>
    /^\d+$/.test(part)
      ? options[Number(part) - 1]?.label
      : options.find(({ label }) => label.toLowerCase() === part.toLowerCase())?.label,
  )
  const chosen = labels.filter((label) => label !== undefined)
  return chosen.length === parts.length ? { questionIndex: index, labels: chosen } : { questionIndex: index, text }
}

/** What a line of the terminal means; undefined: it is asked once more. */
export function readDecision({ kind, suggestions }: Approval, line: string): ApprovalDecision | undefined {
  const [word = '', ...rest] = line.trim().split(/\s+/)
  const message = rest.length === 0 ? undefined : rest.join(' ')
  switch (word.toLowerCase()) {
    case 'y':
    case 'yes':
      return message === undefined ? { decision: 'allow' } : undefined
    case 'a':
      if (message !== undefined) return undefined
      if (kind === 'plan') return { decision: 'allow', permissionMode: 'acceptEdits' }
      return suggestions.length > 0 ? { decision: 'allow', appliesTo: 'execution' } : undefined
    case 'n':
    case 'no':
      return { decision: 'deny', message }
    default:
      return undefined
  }
}

export function describeChoices({ kind, suggestions }: Approval): string {
  if (kind === 'plan') return 'y: approve, a: approve and accept edits, n [why]: deny > '
  const rest = suggestions.length > 0 ? `, a: always in this run (${toLine(suggestions.join(', '), 80)})` : ''
  return `y: allow${rest}, n [why]: deny > `
}
