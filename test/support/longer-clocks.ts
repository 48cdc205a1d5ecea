/** Each four times as long as the one before: the last is enough for any machine that comes to an end at all. */
const TIMES = [1, 4, 16] as const

/**
 * Plays a scene in which a clock of so many seconds must not run out before something else has happened. On a quick
 * machine the first, short one will do; where `play` says by `undefined` that the machine was too slow for it, it is
 * played again with a longer one. What is not a matter of time fails with each of them.
 */
export async function withLongerClocks<Result>(
  seconds: number,
  play: (seconds: number) => Promise<Result | undefined>,
): Promise<Result> {
  for (const times of TIMES) {
    const result = await play(seconds * times)
    if (result !== undefined) return result
  }
  throw new Error(`not in time with a clock of ${seconds * (TIMES.at(-1) ?? 1)} s either`)
}

const TRIES = 20

/**
 * Plays a scene in which something must happen within a time that is the product's own, and no test can lengthen: again
 * where `play` says by `undefined` that the machine was too slow for it.
 */
export async function untilInTime<Result>(play: () => Promise<Result | undefined>): Promise<Result> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const result = await play()
    if (result !== undefined) return result
  }
  throw new Error(`not in time in ${TRIES} tries`)
}
