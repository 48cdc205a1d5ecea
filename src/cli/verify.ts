import { readFile, stat } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readConfig } from '../platform/config.js'
import { isExecutionId } from '../protocol/ids.js'
import { KeySet, type PublicJwk, type ReceiptReport } from '../protocol/receipt.js'
import { DEFAULT_LIMITS, takeManifest, type Manifest } from '../verification/manifest.js'
import { isObject, type RawReceipt } from '../verification/receipt.js'
import { parsePublicKey, readPublicKeys } from '../verification/signing-key.js'
import { limitsOf } from '../verification/verify-files.js'
import { verifyReceipt } from '../verification/verify-receipt.js'
import { EXIT_CODES, UsageError, type Command } from './command.js'
import { printJson, toPrintable } from './print.js'

const usage = `Usage: cc-executor verify <receipt.json> [--events events.jsonl] [--workspace DIR] [--keys keys.json] [--json]

Checks a receipt offline: its form, its signature and key, and whether the events, the answer and the workspace match it.
Every field, event and file that does not match is named.

  --events FILE                   the events of /executions/<id>/events with Accept: application/x-ndjson
  --workspace DIR                 the current workspace, to be compared with its state after the run
  --keys FILE                     the keys of GET /receipts/keys: a receipt signed by another key is rejected.
                                  Without it the keys of this machine's data folder are used, and a key that is
                                  known only from the receipt is pointed out
  --json                          prints the report as JSON

Exit code: 0 everything that could be checked matches, 1 something does not, 2 wrong usage.`

/** Where an id was given in place of a file. */
const howToSave = (id: string): string =>
  `expected a file, not the id of an execution; save its receipt first: cc-executor receipt ${id} > receipt.json, ` +
  'then cc-executor verify receipt.json'

async function readReceipt(path: string): Promise<Buffer> {
  if (isExecutionId(path) && !(await stat(path).catch(() => undefined))) throw new UsageError(howToSave(path))
  return read(path)
}

async function read(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path} cannot be read (${error.code ?? error.message})`)
  })
}

async function readKeys(path: string): Promise<PublicJwk[]> {
  try {
    return KeySet.parse(JSON.parse((await read(path)).toString())).keys.flatMap(
      (key) => parsePublicKey(JSON.stringify(key)) ?? [],
    )
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${path} is not a JWKS as returned by GET /receipts/keys`)
  }
}

/** As the receipt's own manifests were taken; a receipt that says nothing of files is told so by the check. */
async function inspect(path: string, receipt: Buffer): Promise<Manifest> {
  if (!(await stat(path).catch(() => undefined))?.isDirectory()) throw new UsageError(`${path} is not a folder`)
  return takeManifest(path, limitsOf(readObject(receipt)) ?? { ...DEFAULT_LIMITS, ignored: [] })
}

function readObject(receipt: Buffer): RawReceipt {
  try {
    const raw: unknown = JSON.parse(receipt.toString())
    return isObject(raw) ? raw : {}
  } catch {
    return {} // what is wrong with it is the first check's to tell
  }
}

const MARKS = { pass: 'ok  ', fail: 'FAIL', skip: '-   ' } as const

function print({ valid, executionId, checks, mismatches }: ReceiptReport): void {
  for (const { name, status, detail } of checks)
    process.stdout.write(`${MARKS[status]}  ${name.padEnd(10)} ${toPrintable(detail)}\n`)
  for (const { name, detail } of mismatches)
    process.stdout.write(`mismatch: ${toPrintable(name)} ${toPrintable(detail)}\n`)
  process.stdout.write(
    valid
      ? `The receipt of ${toPrintable(executionId ?? 'an execution')} is valid in everything that was checked.\n`
      : 'The receipt is not valid.\n',
  )
}

export const verify: Command = {
  summary: ['verify <receipt.json>', 'checks a receipt offline; see verify --help'],
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        events: { type: 'string' },
        workspace: { type: 'string' },
        keys: { type: 'string' },
        json: { type: 'boolean' },
      },
    })
    const [path, ...others] = positionals
    if (path === undefined || others.length > 0) throw new UsageError('expected the file of one receipt')
    const keys = values.keys === undefined ? await readPublicKeys(readConfig().dataDir) : await readKeys(values.keys)
    const receipt = await readReceipt(path)
    const report = verifyReceipt({
      receipt,
      workspace: values.workspace === undefined ? undefined : await inspect(values.workspace, receipt),
      keys,
      keysAreComplete: values.keys !== undefined,
      events: values.events === undefined ? undefined : await read(values.events),
    })
    if (values.json ?? false) printJson(report)
    else print(report)
    return report.valid ? EXIT_CODES.succeeded : EXIT_CODES.failed
  },
}
