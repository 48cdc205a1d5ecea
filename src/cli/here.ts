/** `run --here`: a folder of this machine, admitted for this token after one question. */
import { lstat, realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { isAbsolute, resolve } from 'node:path'
import { ClientError } from '../client/client-error.js'
import type { Client, ExecuteOptions } from '../client/open-client.js'
import { readConfig } from '../platform/config.js'
import { proveLocal, readLocalSecret } from '../platform/local-proof.js'
import type { ExecuteRequest } from '../protocol/execute-request.js'
import type { Execution } from '../protocol/execution.js'
import { say, UsageError } from './command.js'

export const HERE_FLAGS = { here: { type: 'boolean' }, yes: { type: 'boolean', short: 'y' } } as const
export const HERE_USAGE = `  --here                          works in this folder, which the service of this user and machine
                                  allows after asking once; --workspace ./DIR, ../DIR or /DIR: in that folder
  --yes, -y                       answers that question; needed where there is no terminal`

/** A plain name is a workspace of the service's; these are paths of this machine. */
const isLocalPath = (workspace: string): boolean => isAbsolute(workspace) || /^\.\.?(\/|$)/.test(workspace)

/** The folder that is meant, links resolved, as the service names it; undefined where none of this machine is. */
export async function findLocalFolder(
  here: boolean | undefined,
  workspace: string | undefined,
): Promise<string | undefined> {
  if (here && workspace !== undefined) throw new UsageError('give either --here or --workspace, not both')
  const wanted = here ? '.' : workspace
  if (wanted === undefined || !isLocalPath(wanted)) return undefined
  const path = resolve(wanted)
  return realpath(path).catch(() => {
    // It may be one of another machine's, where the service is.
    if (isAbsolute(wanted)) return undefined
    throw new UsageError(`${path} does not exist`)
  })
}

const isNotAdmitted = (error: unknown): boolean =>
  error instanceof ClientError &&
  error.code === 'FORBIDDEN' &&
  error.errors?.some(({ message }) => message === 'not inside an allowed root') === true

async function ask(folder: string): Promise<void> {
  const all = folder === homedir() ? ', your whole home folder' : ''
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`the service is not allowed to work in ${folder} yet; --yes allows it from now on`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const gone = new AbortController()
  // Ctrl-C and Ctrl-D: the terminal itself would leave the question open.
  terminal.on('SIGINT', () => gone.abort()).on('close', () => gone.abort())
  try {
    const question = `Allow runs of this token to read and change files in and below ${folder}${all}, from now on? [y/N] `
    const answer = await terminal.question(question, { signal: gone.signal }).catch(() => '')
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('nothing was run: the folder is not allowed')
  } finally {
    terminal.close()
  }
}

/** @throws ClientError FORBIDDEN where the service is not of this user and machine, or admits nothing */
async function admit(client: Client, folder: string): Promise<void> {
  const { dev, ino } = await lstat(folder, { bigint: true })
  const claim = { folder, device: String(dev), inode: String(ino), issuedAt: Date.now() }
  // Without a secret the service itself says what is missing.
  const secret = (await readLocalSecret(readConfig().dataDir)) ?? ''
  await client.admitFolder({ ...claim, proof: proveLocal(secret, claim) })
}

/** Submits; where the folder is not admitted yet, asks, has it admitted and submits again. */
export async function executeIn(
  client: Client,
  folder: string | undefined,
  isAgreed: boolean,
  request: ExecuteRequest,
  options: ExecuteOptions,
): Promise<Execution> {
  try {
    return await client.execute(request, options)
  } catch (error) {
    if (folder === undefined || !isNotAdmitted(error)) throw error
    if (!isAgreed) await ask(folder)
    await admit(client, folder)
    return client.execute(request, options)
  }
}

/** Where the run works, and what follows from it. */
export function sayWhere(
  folder: string | undefined,
  { workspace, session, repository }: ExecuteRequest,
  id: string,
): void {
  if (folder !== undefined) say(`working in ${folder}; cc-executor undo ${id} reverts its changes`)
  else if (repository !== undefined)
    say(`working in a checkout of ${repository.url}; cc-executor patch ${id} prints its commits`)
  else if (workspace === undefined && session === undefined) say('working in a new folder, not in this one (--here)')
}
