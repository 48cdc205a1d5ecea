// Prometheus text as samples; a line that is none of its grammar is an error.
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string | undefined>>
  readonly value: number
}
export type Samples = readonly Sample[]

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let end = 0
  for (const match of text.matchAll(LABEL)) {
    labels[match[1] ?? ''] = match[2] ?? ''
    end = match.index + match[0].length
  }
  if (end !== text.length) throw new Error(`labels: ${text}`)
  return labels
}

export function readSamples(text: string): Samples {
  const families = new Set<string>()
  return text.split('\n').flatMap((line) => {
    const [, family] = /^# TYPE (\S+) (?:counter|gauge|histogram)$/.exec(line) ?? []
    if (family !== undefined && families.size === families.add(family).size) throw new Error(`twice: ${family}`)
    if (line === '' || line.startsWith('#')) return []
    const [, name = '', labels = '', value] = LINE.exec(line) ?? []
    if (name === '') throw new Error(`no sample: ${line}`)
    return [{ name, labels: readLabels(labels), value: Number(value) }]
  })
}

/** Of the samples of a name that have these labels. */
export const sumOf = (samples: Samples, name: string, labels: Readonly<Record<string, string>> = {}): number =>
  samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0)
