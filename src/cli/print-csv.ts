import { stringify } from 'csv-stringify/sync'
import type { Client } from '../client/open-client.js'
import type { Execution } from '../protocol/execution.js'
import { countDenials, toAnswer } from './result.js'

const COLUMNS = ['id', 'status', 'code', 'denied', 'created', 'finished', 'usd', 'labels', 'prompt', 'answer'] as const

/** A cell that a spreadsheet would take for a formula is told that it is text. */
const print = (cells: readonly string[]): void =>
  void process.stdout.write(stringify([[...cells]], { escape_formulas: true }))

/** A list has neither the whole prompt nor the answer: each is asked for, one after the other. */
export async function printCsv(client: Client, executions: readonly Execution[]): Promise<void> {
  print(COLUMNS)
  for (const { id } of executions) {
    const execution = await client.get(id)
    const { status, outcome, createdAt, finishedAt = '', usage, metadata, request } = execution
    const labels = Object.entries(metadata).map(([label, value]) => `${label}=${value}`)
    print([
      id,
      status,
      outcome?.code ?? '',
      String(countDenials(execution)),
      createdAt,
      finishedAt,
      usage.costUsd.toFixed(6),
      labels.join(' '),
      request.prompt ?? request.command ?? JSON.stringify(request.tasks),
      toAnswer(execution),
    ])
  }
}
