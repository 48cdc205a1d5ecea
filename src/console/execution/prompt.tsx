import { useState } from 'react'
import type { Execution } from 'cc-executor/client'
import { promptOf } from '../executions/prompt-of.js'

const SHOWN_LINES = 14
const SHOWN_CHARACTERS = 1_500
/** What tells the scripted model its part: nothing that a person has to read. */
const SCRIPT = /\n*```simulate\n[^]*?\n```\s*$/

/** What was asked for; a long text shows its beginning. */
export function Prompt({ execution }: { readonly execution: Execution }) {
  const [isWhole, setWhole] = useState(false)
  const whole = promptOf(execution)
  const text = execution.simulated ? whole.replace(SCRIPT, '') : whole
  const start = text.split('\n', SHOWN_LINES).join('\n').slice(0, SHOWN_CHARACTERS)
  return (
    <div className="bubble">
      <p className="pre-wrap">{isWhole ? whole : start}</p>
      {!isWhole && start.length < whole.length && (
        <button className="button quiet small" onClick={() => setWhole(true)}>
          {text.length < whole.length ? 'Show the script of the simulator' : 'Show all of it'}
        </button>
      )}
    </div>
  )
}
