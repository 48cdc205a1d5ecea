import { lazy, memo, Suspense, useState } from 'react'
import type { TextItem } from './items.js'
import { OpenBlocks } from './open-blocks.js'

const MarkdownText = lazy(async () => ({ default: (await import('./markdown.js')).MarkdownText }))

const Block = memo(function Block({ text }: { readonly text: string }) {
  return (
    <Suspense fallback={<p className="pre-wrap">{text}</p>}>
      <MarkdownText text={text} />
    </Suspense>
  )
})

/** What Claude says. While it is being written, each drawing costs what has come and not what there is. */
export const Answer = ({ item: { text, isOpen, resets } }: { readonly item: TextItem }) => (
  <div className={`answer markdown ${isOpen ? 'open' : ''}`}>
    {isOpen ? <OpenAnswer key={resets} text={text} /> : <Block text={text} />}
  </div>
)

function OpenAnswer({ text }: { readonly text: string }) {
  const [blocks] = useState(() => new OpenBlocks())
  blocks.grow(text)
  const { finished, last } = blocks
  return (
    <>
      {finished.map((block, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- blocks have no other name, and never move
        <Block key={index} text={block} />
      ))}
      <Block text={last} />
    </>
  )
}
