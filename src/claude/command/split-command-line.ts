import { ExecutorError } from '../../protocol/errors.js'

/**
 * Splits a command line into words as a POSIX shell does, without ever expanding anything.
 *
 * Own code and no library, because this is a security border: what a shell would have acted upon (an operator, an
 * expansion, a comment) has to be refused here and not passed on as text or silently dropped, and the splitters on
 * npm do either. No shell ever sees the words; refusing keeps a caller from believing that one does.
 *
 * Stays text: globs, `~`, braces, and a `$` which a shell would leave alone (`5$`, `$ 5`).
 */
export function splitCommandLine(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let position = 0
  let endedAt: number | undefined

  /** The text that a sticky pattern matches here, if it does; moves on behind it. */
  const takeMatch = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position
    const match = pattern.exec(text)?.[0]
    if (match !== undefined) position += match.length
    return match
  }
  const endWord = () => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  /** A line break at the very end is how command lines arrive from files; between words it separates two commands. */
  const startWord = () => {
    if (endedAt !== undefined)
      throw refuseAt(endedAt, 'has a line break outside quotes, where a second command would begin', QUOTE_IT)
    word ??= ''
  }

  while (position < text.length) {
    if (takeMatch(/[ \t]+/y) !== undefined) {
      endWord()
    } else if (text[position] === '\n') {
      endWord()
      if (words.length > 0) endedAt ??= position
      position += 1
    } else if (takeMatch(/\\\n/y) === undefined) {
      if (word === undefined && text[position] === '#')
        throw refuseAt(position, 'has an unquoted #, which begins a comment', QUOTE_IT)
      startWord()
      word += takeMatch(/[^\s'"\\$`|&;<>()]+|[^\S \t\n]+/y) ?? takeSpecial()
    }
  }
  endWord()
  return words

  function takeSpecial(): string {
    const start = position
    const character = text[position++]
    switch (character) {
      case "'": {
        const content = takeMatch(/[^']*/y) ?? ''
        if (text[position++] !== "'")
          throw refuseAt(
            start,
            'opens a single quote that is never closed',
            `Inside single quotes write '\\'' for an apostrophe.`,
          )
        return content
      }
      case '"':
        return takeDoubleQuoted(start)
      case '\\':
        if (position === text.length) throw refuseAt(start, 'ends with a backslash', 'Write \\\\ for a backslash.')
        return takeCharacter()
      case '$':
        // $'…' and $"…" are quotes of their own in bash, so outside quotes they are no plain dollar sign either.
        refuseExpansion(start, /(?:\\\n)*([\w{([@*#?$!'"-])/y)
        return '$'
      case '`':
        throw refuseAt(start, 'has a backtick, which a shell would take for a command substitution', QUOTE_IT)
      default:
        throw refuseAt(start, `has an unquoted ${character}, which a shell would take for an operator`, QUOTE_IT)
    }
  }

  function takeDoubleQuoted(start: number): string {
    let content = ''
    for (;;) {
      content += takeMatch(/[^"\\$`]+/y) ?? ''
      const at = position
      const character = text[position++]
      if (character === undefined)
        throw refuseAt(
          start,
          'opens a double quote that is never closed',
          'Inside double quotes write \\" for a quote.',
        )
      if (character === '"') return content
      if (character === '`')
        throw refuseAt(
          at,
          'has a backtick in double quotes, which a shell would take for a command substitution',
          QUOTE_IT,
        )
      if (character === '$') {
        refuseExpansion(at, /(?:\\\n)*([\w{([@*#?$!-])/y)
        content += '$'
      } else if (takeMatch(/\n/y) === undefined) {
        content += takeMatch(/[$`"\\]/y) ?? '\\'
      }
    }
  }

  /** One whole character, a surrogate pair included. */
  function takeCharacter(): string {
    return takeMatch(/[\s\S]/uy) ?? ''
  }

  /** The shell joins continued lines before it looks at what follows the dollar sign, and so does the pattern. */
  function refuseExpansion(at: number, follower: RegExp): void {
    follower.lastIndex = position
    const next = follower.exec(text)?.[1]
    if (next !== undefined)
      throw refuseAt(
        at,
        `has $${next}, which a shell would expand`,
        'Write \\$ for a dollar sign, or put the text in single quotes.',
      )
  }
}

const QUOTE_IT =
  "Commands are split into words and never reach a shell: put the text in single quotes, as in claude -p 'a | b'."

function refuseAt(index: number, what: string, advice: string): ExecutorError {
  const message = `The command ${what} (at character ${index + 1}). ${advice}`
  return new ExecutorError('COMMAND_NOT_ALLOWED', { detail: message, errors: [{ path: 'command', message }] })
}
