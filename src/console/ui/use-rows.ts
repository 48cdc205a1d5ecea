import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState, type RefObject } from 'react'
import { flushSync } from 'react-dom'
import { RowHeights } from './row-heights.js'

/** Rows around those that are seen, so that a short way shows nothing empty. */
const AROUND = 5
const FIRST_ROWS = 30

interface Options {
  readonly count: number
  /** How high a row is until it was measured. */
  readonly estimate: number
}

export interface Rows {
  readonly shown: ReadonlyArray<{ readonly index: number; readonly start: number }>
  readonly total: number
  /** The ref of each row that is shown, with its index as `data-index`; none where all are as high as estimated. */
  readonly measure: (element: HTMLElement | null) => void
  /** Somebody has set the position: what is there is shown before it is drawn. */
  readonly look: () => void
}

/**
 * Of a list of any length, which grows at its end, the rows that are seen. Each is measured when it comes into the page
 * and whenever its height changes; what is being read stays where it is, whatever the rows above turn out to be.
 */
export function useRows(scroller: RefObject<HTMLElement>, { count, estimate }: Options): Rows {
  const heights = useMemo(() => new RowHeights(estimate), [estimate])
  heights.resize(count)
  const [range, setRange] = useState({ first: 0, last: FIRST_ROWS })
  const [, drawAgain] = useReducer((drawings: number) => drawings + 1, 0)
  const elements = useRef(new Set<HTMLElement>())
  const fresh = useRef<HTMLElement[]>([])
  const observer = useRef<ResizeObserver>()
  /** How far the position has yet to move for the reader to see the same: once the rows stand where they belong. */
  const shift = useRef(0)
  /** Of the rows that came last: where they are lower than estimated, more of them are seen. */
  const usual = useRef(estimate)

  const look = useCallback(() => {
    const element = scroller.current
    if (!element) return
    const top = element.scrollTop + shift.current
    const seen = heights.indexAt(top)
    const first = Math.max(0, seen - AROUND)
    const fitting = seen + Math.ceil(element.clientHeight / usual.current)
    const last = Math.max(fitting, heights.indexAt(top + element.clientHeight)) + AROUND
    setRange((known) => (known.first === first && known.last === last ? known : { first, last }))
  }, [heights, scroller])

  /** The row at the upper edge keeps its place. */
  const take = useCallback(
    (measured: ReadonlyArray<readonly [row: HTMLElement, height: number]>): void => {
      const edge = heights.indexAt((scroller.current?.scrollTop ?? 0) + shift.current)
      const before = heights.startOf(edge)
      const changed = measured.filter(([row, height]) => heights.set(Number(row.dataset['index']), height))
      if (changed.length === 0) return
      shift.current += heights.startOf(edge) - before
      drawAgain()
    },
    [heights, scroller],
  )

  // After each drawing into the page and before the screen: the position first, since the page is as long as it needs
  // to be only now.
  useLayoutEffect(() => {
    if (shift.current !== 0 && scroller.current) {
      scroller.current.scrollTop += shift.current
      shift.current = 0
    }
    look()
  })
  // Then the new rows are measured, all in one layout; where one is not as high as it was thought, this comes again.
  useLayoutEffect(() => {
    for (const element of elements.current)
      if (!element.isConnected) {
        observer.current?.unobserve(element)
        elements.current.delete(element)
      }
    const rows = fresh.current.splice(0).filter((element) => element.isConnected)
    if (rows.length === 0) return
    const measured = rows.map((element) => [element, element.getBoundingClientRect().height] as const)
    usual.current = Math.max(1, measured.reduce((sum, [, height]) => sum + height, 0) / measured.length)
    take(measured)
  })

  useEffect(() => {
    const element = scroller.current
    if (!element) return
    const observed = new ResizeObserver((entries) =>
      flushSync(() => {
        const rows = entries.filter(({ target }) => target !== element && target.isConnected)
        take(
          rows.map(({ target, borderBoxSize }) => [target as HTMLElement, borderBoxSize[0]?.blockSize ?? 0] as const),
        )
        if (rows.length < entries.length) look()
      }),
    )
    observer.current = observed
    for (const one of [element, ...elements.current]) observed.observe(one)
    const scrolled = (): void => flushSync(look)
    element.addEventListener('scroll', scrolled, { passive: true })
    return () => {
      observed.disconnect()
      observer.current = undefined
      element.removeEventListener('scroll', scrolled)
    }
  }, [look, scroller, take])

  const measure = useCallback((element: HTMLElement | null): void => {
    if (!element) return
    elements.current.add(element)
    fresh.current.push(element)
    observer.current?.observe(element)
  }, [])

  const last = Math.min(range.last, count - 1)
  const shown: Array<{ index: number; start: number }> = []
  for (let index = range.first, start = heights.startOf(index); index <= last; index += 1) {
    shown.push({ index, start })
    start += heights.heightOf(index)
  }
  return { shown, total: heights.total, measure, look }
}
