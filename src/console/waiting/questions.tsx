import { useState } from 'react'
import type { Approval, ApprovalDecision } from 'cc-executor/client'

type Question = NonNullable<Approval['questions']>[number]
interface Given {
  readonly labels: readonly string[]
  readonly text: string
}
const NOTHING: Given = { labels: [], text: '' }

interface Props {
  readonly approval: Approval
  readonly isBusy: boolean
  readonly decide: (decision: ApprovalDecision) => void
}

/** Options to choose from, and a text beside or in place of them. */
export function Questions({ approval: { questions = [] }, isBusy, decide }: Props) {
  const [given, setGiven] = useState<ReadonlyMap<number, Given>>(new Map())
  const set = (index: number, change: Partial<Given>): void =>
    setGiven((last) => new Map(last).set(index, { ...(last.get(index) ?? NOTHING), ...change }))
  const answers = [...given].flatMap(([questionIndex, { labels, text }]) =>
    labels.length === 0 && text.trim() === ''
      ? []
      : [
          {
            questionIndex,
            labels: labels.length > 0 ? [...labels] : undefined,
            text: text.trim() === '' ? undefined : text.trim(),
          },
        ],
  )
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        decide({ decision: 'answer', answers })
      }}
    >
      {questions.map((question) => (
        <OneQuestion
          key={question.index}
          question={question}
          given={given.get(question.index) ?? NOTHING}
          set={(change) => set(question.index, change)}
        />
      ))}
      <div className="actions">
        <button className="button primary" data-key="allow" disabled={isBusy || answers.length === 0}>
          Answer
        </button>
        <button
          type="button"
          className="button danger"
          data-key="deny"
          disabled={isBusy}
          onClick={() => decide({ decision: 'deny' })}
        >
          Decline
        </button>
      </div>
    </form>
  )
}

interface QuestionProps {
  readonly question: Question
  readonly given: Given
  readonly set: (change: Partial<Given>) => void
}

function OneQuestion({ question: { index, question, options, multiSelect }, given, set }: QuestionProps) {
  const choose = (label: string, isOn: boolean): void => {
    const others = multiSelect ? given.labels.filter((one) => one !== label) : []
    set({ labels: isOn ? [...others, label] : others })
  }
  return (
    <fieldset className="question">
      <legend>{question}</legend>
      {options.map(({ label, description }) => (
        <label key={label} className="option">
          <input
            type={multiSelect ? 'checkbox' : 'radio'}
            name={`question-${index}`}
            checked={given.labels.includes(label)}
            onChange={({ target }) => choose(label, target.checked)}
          />
          <span>
            {label}
            {description !== undefined && <small>{description}</small>}
          </span>
        </label>
      ))}
      <input
        className="input"
        aria-label={`Other answer, or a note: ${question}`}
        placeholder="Other answer, or a note"
        value={given.text}
        onChange={({ target }) => set({ text: target.value })}
      />
    </fieldset>
  )
}
