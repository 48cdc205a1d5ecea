import { useState } from 'react'

const SHOWN_LINES = 24
const SHOWN_CHARACTERS = 6_000

/** Text as it is, its beginning first. */
export function LongText({ text, tone }: { readonly text: string; readonly tone?: 'bad' | undefined }) {
  const [isWhole, setWhole] = useState(false)
  if (text === '') return null
  const start = text.split('\n', SHOWN_LINES).join('\n').slice(0, SHOWN_CHARACTERS)
  const isCut = !isWhole && start.length < text.length
  return (
    <>
      <pre className={`output ${tone ?? ''}`} tabIndex={0}>
        {isCut ? start : text}
      </pre>
      {isCut && (
        <button className="button small" onClick={() => setWhole(true)}>
          Show all ({text.length.toLocaleString('en')} characters)
        </button>
      )}
    </>
  )
}
