/**
 * Line breaks to the readers of other stacks (Python's `splitlines`, browsers' own), and characters like others to
 * JSON: raw they would cut an event in two where it is read by lines (openai/codex#33617, nodejs/node#62785).
 */
const FOREIGN_LINE_BREAK = /[\u0085\u2028\u2029]/
const FOREIGN_LINE_BREAKS = new RegExp(FOREIGN_LINE_BREAK, 'g')
const toEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

export const hasLineBreak = (json: string): boolean => FOREIGN_LINE_BREAK.test(json)

/** The same JSON without a character that some reader takes for the end of a line. */
export const escapeLineBreaks = (json: string): string =>
  hasLineBreak(json) ? json.replaceAll(FOREIGN_LINE_BREAKS, toEscape) : json
