// A recorded terminal as an SVG: each line appears when it was printed, once; where nothing moves, all of it is there.

export interface PictureLine {
  readonly atMs: number
  readonly text: string
}

const COLUMNS = 100
const LETTER = { width: 8, height: 19 }
/** Between what a command printed and the next one. */
const COMMAND_GAP = 10
const MARGIN = { side: 18, top: 46, bottom: 16 }

const toXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const fromXml = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')

/** What a terminal of this width would wrap is cut: the picture shows what is said, not all of it. */
const toWidth = (text: string): string => (text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text)

/** The kind of a line, by its beginning: a command, a tool, a denial, a part of a diff. */
function toKind(text: string): string {
  if (text.startsWith('$ ')) return 'command'
  if (text.startsWith('> ')) return 'tool'
  if (text.startsWith('! ')) return 'denied'
  if (/^\+(?!\+\+ )/.test(text)) return 'added'
  return /^(?:cc-executor: |execution |diff |new file |--- |\+\+\+ |@@ )/.test(text) ? 'aside' : 'said'
}

export function toPicture(lines: readonly PictureLine[]): string {
  let below = MARGIN.top - COMMAND_GAP
  const texts = lines.map(({ atMs, text }) => {
    below += text.startsWith('$ ') ? LETTER.height + COMMAND_GAP : LETTER.height
    const y = below - LETTER.height / 4
    return `<text class="${toKind(text)}" x="${MARGIN.side}" y="${y}" style="animation-delay:${atMs}ms">${toXml(toWidth(text))}</text>`
  })
  const [width, height] = [COLUMNS * LETTER.width + 2 * MARGIN.side, below + MARGIN.bottom]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A recorded terminal session of CC Executor</title>
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #c9d1d9; animation: appear 1ms backwards }
.command { fill: #7ee787; font-weight: bold }
.tool { fill: #79c0ff }
.denied { fill: #ffa657 }
.added { fill: #56d364 }
.aside { fill: #8b949e }
@keyframes appear { from { opacity: 0 } }
@media (prefers-reduced-motion) { text { animation: none } }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<circle cx="22" cy="20" r="6" fill="#ff5f56"/><circle cx="42" cy="20" r="6" fill="#ffbd2e"/><circle cx="62" cy="20" r="6" fill="#27c93f"/>
${texts.join('\n')}
</svg>
`
}

export const readPicture = (svg: string): PictureLine[] =>
  [...svg.matchAll(/<text .*animation-delay:(\d+)ms">(.*)<\/text>/g)].map(([, atMs, text = '']) => ({
    atMs: Number(atMs),
    text: fromXml(text),
  }))
