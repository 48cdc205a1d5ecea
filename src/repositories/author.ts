const FALLBACK = 'cc-executor <cc-executor@localhost>'

/** Of the worker's commits: who its runs are in git; where that says no name or no address, the service itself. */
export function toAuthor({ name, email }: { readonly name?: string; readonly email?: string }): string {
  const [shownName, address] = [name, email].map((text) => text?.replaceAll(/[<>\p{Cc}]/gu, '').trim())
  return shownName && address ? `${shownName} <${address}>` : FALLBACK
}
