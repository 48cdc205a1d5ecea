import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react'
import { Icon } from '../ui/icons.js'
import { useRows } from '../ui/use-rows.js'
import { ItemView } from './item-view.js'
import type { Item } from './items.js'

const ROW_PIXELS = 64
/** So near to the end the view stays at it. */
const NEAR_PIXELS = 80

interface Props {
  readonly items: readonly Item[]
  /** Changes whenever an item has. */
  readonly version: number
  readonly isLive: boolean
  readonly head: ReactNode
}

/** The conversation. Only what is seen is in the page; at its end it follows what comes. */
export function TimelineView({ items, version, isLive, head }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const [isAtEnd, setAtEnd] = useState(isLive)
  const sticks = useRef(isLive)
  const { shown, total, measure, look } = useRows(scroller, { count: items.length + 1, estimate: ROW_PIXELS })
  const toEnd = (): void => {
    const element = scroller.current
    if (element) element.scrollTop = element.scrollHeight
    look()
  }

  useLayoutEffect(() => {
    if (sticks.current) toEnd()
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- to the end when there is more, not when it is drawn again
  }, [version, total])
  useEffect(() => {
    const element = scroller.current
    if (!element) return
    const follow = (): void => {
      const isNear = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PIXELS
      sticks.current = isNear && isLive
      setAtEnd(isNear)
    }
    follow()
    element.addEventListener('scroll', follow, { passive: true })
    return () => element.removeEventListener('scroll', follow)
  }, [isLive])

  return (
    <div className="timeline-frame">
      <div ref={scroller} className="timeline" tabIndex={0} role="region" aria-label="Conversation">
        <div className="virtual" style={{ height: total }}>
          {shown.map(({ index, start }) => {
            const item = items[index - 1]
            return (
              <div
                key={item?.key ?? 'head'}
                ref={measure}
                data-index={index}
                className="virtual-row"
                style={{ transform: `translateY(${start}px)` }}
              >
                {index === 0 ? head : item && <ItemView item={item} version={item.version} />}
              </div>
            )
          })}
        </div>
      </div>
      {!isAtEnd && (
        <button
          className="button small to-end"
          onClick={() => {
            sticks.current = true
            toEnd()
          }}
        >
          <Icon name="down" size={15} /> {isLive ? 'Follow' : 'To the end'}
        </button>
      )}
    </div>
  )
}
