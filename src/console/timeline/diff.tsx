import { useState } from 'react'

export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed' | 'hunk'
  readonly text: string
}

const SHOWN_LINES = 200

/** A unified patch without the lines that name its files. */
export function readPatch(patch: string): DiffLine[] {
  const lines: DiffLine[] = []
  let isInHunk = false
  for (const line of patch.replace(/\n$/, '').split('\n')) {
    if (line.startsWith('@@')) {
      isInHunk = true
      lines.push({ kind: 'hunk', text: line })
    } else if (line.startsWith('diff ')) isInHunk = false
    else if (!isInHunk) {
      if (line.startsWith('#') || line.startsWith('Binary'))
        lines.push({ kind: 'hunk', text: line.replace(/^# ?/, '') })
    } else if (line.startsWith('+')) lines.push({ kind: 'added', text: line.slice(1) })
    else if (line.startsWith('-')) lines.push({ kind: 'removed', text: line.slice(1) })
    else if (line.startsWith('\\')) lines.push({ kind: 'hunk', text: line })
    else lines.push({ kind: 'same', text: line.slice(1) })
  }
  return lines
}

/** Of two texts: what they begin and end with alike is the same, the rest was replaced. */
export function compareTexts(before: string, after: string): DiffLine[] {
  const [one, other] = [before, after].map((text) => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))) as [
    string[],
    string[],
  ]
  const shorter = Math.min(one.length, other.length)
  let head = 0
  while (head < shorter && one[head] === other[head]) head += 1
  let tail = 0
  while (tail < shorter - head && one.at(-1 - tail) === other.at(-1 - tail)) tail += 1
  const lines = (kind: DiffLine['kind'], texts: readonly string[]): DiffLine[] => texts.map((text) => ({ kind, text }))
  return [
    ...lines('same', one.slice(0, head)),
    ...lines('removed', one.slice(head, one.length - tail)),
    ...lines('added', other.slice(head, other.length - tail)),
    ...lines('same', tail === 0 ? [] : one.slice(-tail)),
  ]
}

const SIGNS: Readonly<Record<DiffLine['kind'], string>> = { same: ' ', added: '+', removed: '−', hunk: '' }
const SPOKEN: Readonly<Record<DiffLine['kind'], string>> = { same: '', added: 'added', removed: 'removed', hunk: '' }

export function Diff({ lines, label }: { readonly lines: readonly DiffLine[]; readonly label: string }) {
  const [isWhole, setWhole] = useState(false)
  const shown = isWhole ? lines : lines.slice(0, SHOWN_LINES)
  return (
    <>
      <pre className="diff" tabIndex={0} aria-label={label}>
        {shown.map(({ kind, text }, index) => (
          // oxlint-disable-next-line react/no-array-index-key -- lines have no other name, and never move
          <span key={index} className={`diff-line ${kind}`}>
            <span className="sign" aria-hidden="true">
              {SIGNS[kind]}
            </span>
            {SPOKEN[kind] !== '' && <span className="sr-only">{SPOKEN[kind]} </span>}
            {text}
            {'\n'}
          </span>
        ))}
      </pre>
      {shown.length < lines.length && (
        <button className="button small" onClick={() => setWhole(true)}>
          Show all {lines.length} lines
        </button>
      )}
    </>
  )
}
