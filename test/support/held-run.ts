// A run of the scripted CLI that goes on until the test says so.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Execution } from '../../src/protocol/execution.js'

export type HeldRun = Execution & { release(): Promise<void> }

const INIT = { line: { type: 'system', subtype: 'init', session_id: 's', cwd: '/' } }
const TEXT = { line: { type: 'assistant', message: { id: 'm1', content: [{ type: 'text', text: 'released' }] } } }
const RESULT = {
  line: { type: 'result', subtype: 'success', is_error: false, result: 'released', usage: {}, num_turns: 1 },
}

/** What holds it is a file in the folder. */
export async function submitHeld(folder: string, submit: (prompt: string) => Promise<Execution>): Promise<HeldRun> {
  const file = join(folder, `go-${randomUUID()}`)
  const execution = await submit(JSON.stringify([INIT, { file }, TEXT, RESULT]))
  return { ...execution, release: () => writeFile(file, '') }
}
