/**
 * Splits a list of permission rules as the CLI does: at commas and blanks, but not inside parentheses, so that
 * `Bash(git commit:*),Read` is two rules and `Bash(node -e 1,2)` one.
 */
export function splitToolRules(text: string): string[] {
  return [...text.matchAll(/(?:[^\s,(]|\([^)]*(?:\)|$))+/g)].map(([rule]) => rule)
}
