import { quoteForShell } from '../platform/shell-quote.js'
import { FIELDS } from './run-flags.js'

/** Only names that are no ordinary words; `projectInstructions` has a flag for its contrary alone. */
const FLAGS = new Map<string, string>(
  Object.entries(FIELDS)
    .map(([name, [field]]) => [field, `--${name}`] as const)
    .filter(([field, flag]) => /[A-Z]/.test(field) && !flag.startsWith('--no-')),
)

const TEXT = String.raw`"(?:[^"\\]|\\.)*"`
const VALUE = String.raw`\[${TEXT}(?:, ?${TEXT})*\]|${TEXT}|\d+(?:\.\d+)?`
/** `allowedTools: ["Read"]`, `permissionMode: "plan"`, `maxTurns`; not what stands in quotes or in a path. */
const NAMED = new RegExp(String.raw`(?<![\w."'/-])(${[...FLAGS.keys()].join('|')})(?![\w"'])(?:: (${VALUE}))?`, 'g')
const BETWEEN_FLAGS = /(--[\w-]+ (?:'(?:[^']|'\\'')*'|[^\s,']+)), (?=--)/g

function toArgument(json: string): string {
  const value: unknown = JSON.parse(json)
  return quoteForShell(Array.isArray(value) ? value.join(',') : String(value))
}

/** The service's words name the fields of a request; whoever is at a terminal has flags. */
export const toFlags = (text: string): string =>
  text
    .replaceAll(NAMED, (_whole, field: string, value: string | undefined) => {
      const flag = FLAGS.get(field) ?? field
      return value === undefined ? flag : `${flag} ${toArgument(value)}`
    })
    .replaceAll(BETWEEN_FLAGS, '$1 ')
