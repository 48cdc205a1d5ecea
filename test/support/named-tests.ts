/** The source of a test with each text in one piece: layout breaks a long title into several. */
const joinTexts = (source: string): string =>
  source.replaceAll(/(['"`])\s*\+\s*\1/g, '').replaceAll(/(test\(|SCENES\[)\s+/g, '$1')

/** Whether a test of this name stands in a source: as a title, or as the key of a scene of the fault battery. */
export function namesTest(source: string, name: string): boolean {
  const text = joinTexts(source)
  const titles = [`'${name}'`, `'${name.replaceAll("'", "\\'")}'`, `"${name}"`, `\`${name}\``]
  return titles.some((title) => [`test(${title}`, `${title}:`, `SCENES[${title}`].some((form) => text.includes(form)))
}
