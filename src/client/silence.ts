export interface Silence {
  /** Something was heard: the time begins again. */
  refresh(): void
  stop(): void
}

/** Calls `onSilence` once nothing was heard for so long; in every runtime, since only timers of Node.js can refresh. */
export function watchSilence(milliseconds: number, onSilence: () => void): Silence {
  let heardAt = performance.now()
  let timer = setTimeout(look, milliseconds)
  function look(): void {
    const left = heardAt + milliseconds - performance.now()
    if (left <= 0) onSilence()
    else timer = setTimeout(look, left)
  }
  return {
    refresh: () => void (heardAt = performance.now()),
    stop: () => clearTimeout(timer),
  }
}
