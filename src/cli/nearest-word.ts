/** A slip of the finger or two; more is another word. */
const MOST_SLIPS = 2

/** How many letters are to be added, left out, changed or swapped with their neighbour. */
function countSlips(a: string, b: string): number {
  let [beforeLast, last]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          (row[j - 1] ?? 0) + 1,
          (last[j] ?? 0) + 1,
          (last[j - 1] ?? 0) + (isSame ? 0 : 1),
          isSwapped ? (beforeLast[j - 2] ?? Infinity) + 1 : Infinity,
        ),
      )
    }
    ;[beforeLast, last] = [last, row]
  }
  return last[b.length] ?? Infinity
}

/** What somebody probably meant, for "did you mean …?". */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let fewest = Math.min(MOST_SLIPS, Math.floor(word.length / 3)) + 1
  for (const one of new Set(known)) {
    const slips = countSlips(word, one)
    if (slips < fewest) [nearest, fewest] = [one, slips]
  }
  return nearest
}
