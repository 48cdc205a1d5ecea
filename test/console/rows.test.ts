// What the console's long lists rest on, without a browser.
import t from 'tap'
import { OpenBlocks } from '../../src/console/timeline/open-blocks.js'
import { RowHeights } from '../../src/console/ui/row-heights.js'

const ESTIMATE = 10
/** The same choices in every run. */
function makeRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

void t.test('rows stand where the heights before them say, whatever was measured in which order', (t) => {
  const random = makeRandom(7)
  const heights = new RowHeights(ESTIMATE)
  let plain: number[] = []
  for (let round = 0; round < 400; round += 1) {
    const count = Math.floor(random() * 3_000)
    if (round % 5 === 0) {
      heights.resize(count)
      plain = Array.from({ length: count }, (_, index) => plain[index] ?? ESTIMATE)
    }
    for (let change = 0; change < 20 && plain.length > 0; change += 1) {
      const index = Math.floor(random() * plain.length)
      const height = Math.floor(random() * 200)
      t.equal(heights.set(index, height), plain[index] !== height)
      plain[index] = height
    }
    const sum = plain.reduce((all, height) => all + height, 0)
    const index = Math.floor(random() * (plain.length + 1))
    const start = plain.slice(0, index).reduce((all, height) => all + height, 0)
    const offset = Math.floor(random() * sum)
    let end = 0
    const found = plain.findIndex((height) => (end += height) > offset)
    t.same(
      [heights.count, heights.total, heights.startOf(index), heights.indexAt(offset)],
      [plain.length, sum, start, Math.max(0, found)],
    )
  }
  t.end()
})

void t.test('a list has a first and a last row wherever one looks', (t) => {
  const heights = new RowHeights(ESTIMATE)
  t.same([heights.total, heights.indexAt(50)], [0, 0])
  heights.resize(3)
  t.same([heights.indexAt(-5), heights.indexAt(9.9), heights.indexAt(10), heights.indexAt(1_000)], [0, 0, 1, 2])
  t.notOk(heights.set(1, ESTIMATE + 0.01), 'what nobody sees is no change')
  t.notOk(heights.set(3, 5), 'and what is not there has no height')
  t.equal(heights.total, 30)
  t.end()
})

/** As it comes: a few characters at a time. */
function write(text: string): OpenBlocks {
  const blocks = new OpenBlocks()
  for (let end = 0; end <= text.length; end += 3) blocks.grow(text.slice(0, end))
  blocks.grow(text)
  return blocks
}

void t.test('a text that is being written falls into blocks, and only the last one changes', (t) => {
  const parts = ['# A title\n\n', 'Some words\nin two lines.\n\n- one\n\n  still one\n\n- two\n\n', 'The end\nof it']
  const { finished, last } = write(parts.join(''))
  t.same([...finished, last], parts, 'a list goes on after an empty line')
  const fence = '```ts\nconst a = 1\n\nconst b = 2\n```\n\n'
  t.same(write(`${fence}After\nit`).finished, [fence], 'and so does code')
  t.end()
})

void t.test('what has no end of its own is cut, and stays what it is', (t) => {
  const line = `${'x'.repeat(99)}\n`
  const code = write(`\`\`\`text\n${line.repeat(200)}`)
  t.ok(code.finished.length >= 4 && code.last.length < 5_000, `${code.finished.length} blocks`)
  for (const block of code.finished) t.match(block, /^```text\n[x\n]+```$/)
  t.equal([...code.finished, code.last].join('').match(/x{99}\n/g)?.length, 200, 'every line is there, once')
  const words = write('word '.repeat(8_000))
  t.ok(words.last.length <= 8_000, 'also one line that goes on and on')
  t.equal([...words.finished, words.last].join(''), 'word '.repeat(8_000))
  t.end()
})
