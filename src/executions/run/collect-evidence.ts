import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../platform/config.js'
import { joinSignals } from '../../platform/abort-signals.js'
import type { OpenFolder } from '../../platform/open-folder.js'
import type { Outcome } from '../../protocol/execution.js'
import type { FileChange, Verification, VerificationCheck, WorkspaceEvidence } from '../../protocol/verification.js'
import { checkCommands, checkRequiredFiles, checkRun, toVerification } from '../../verification/checks.js'
import { compareManifests, summarizeManifest } from '../../verification/compare-manifests.js'
import { readGitHead } from '../../verification/git-head.js'
import { DEFAULT_LIMITS, takeManifest, type Manifest, type ManifestLimits } from '../../verification/manifest.js'
import { runCheckCommand, type CheckCommandReport } from '../../verification/run-check-command.js'
import { BeforeContents } from '../../files/before-contents.js'
import { readBefore, writeBefore, type Before } from '../../files/kept-before.js'
import { removeTree } from '../../platform/remove-tree.js'
import type { ExecutionRecord } from '../records/execution-record.js'
import type { Evidence, VerifyOptions } from './prepared-run.js'
import { beforeOf, type RunFolders } from '../workspaces/prepare-workspace.js'
import { isInside } from '../workspaces/workspace-name.js'
import { listOwn, listProtected } from './run-sandbox.js'

/** A receipt names so many changed files; the counts are of all. */
const CHANGES_SHOWN = 200
/** A command of the caller's gets what the run had, but nobody's credentials. */
const CREDENTIALS = /^(?:ANTHROPIC|CLAUDE|AWS|GOOGLE|GCLOUD|CLOUDSDK|AZURE)_/

/** An older version, or a worker with another data folder, made the attempts before. */
const LATER = 'it was taken after an earlier attempt, whose own look at the workspace is not on this worker'

type EvidenceConfig = Config

/**
 * Looks at the workspace; `verify` looks again after the run and holds what the run says against what was seen. A
 * further attempt goes by what the first one saw: what the run did is what all of them did.
 */
export async function beginEvidence(
  { id, attempt }: Pick<ExecutionRecord, 'id' | 'attempt'>,
  folders: RunFolders,
  workspace: OpenFolder,
  config: EvidenceConfig,
): Promise<Evidence> {
  const limits: ManifestLimits = { ...DEFAULT_LIMITS, ignored: config.evidenceIgnored }
  const folder = beforeOf(id, config)
  const kept = attempt === 0 ? undefined : await readBefore(folder)
  const seen = kept ?? (await look(workspace, limits, config, attempt))
  const { manifest: before, head: headBefore, contents: contentsBefore } = seen
  return {
    close: () => contentsBefore?.close(),
    keep: async () => {
      if (!kept) await writeBefore(folder, seen)
    },
    forget: () => removeTree(folder),
    async verify(options) {
      const after = await takeManifest(workspace.address, limits, before)
      const changes = compareManifests(before, after)
      const count = (kind: string): number => changes.filter(({ change }) => change === kind).length
      const headAfter = readGitHead(workspace.address)
      const files: WorkspaceEvidence = {
        before: summarizeManifest(before),
        after: summarizeManifest(after),
        head: (headBefore ?? headAfter) && { before: headBefore, after: headAfter },
        created: count('created'),
        modified: count('modified'),
        deleted: count('deleted'),
        changes: changes.slice(0, CHANGES_SHOWN),
        ignored: [...config.evidenceIgnored],
        hashLimitBytes: DEFAULT_LIMITS.maxFileBytes,
      }
      await options.keepFiles({ workspace: workspace.address, before, after, changes, contentsBefore, evidence: files })
      const checks = [
        ...observe(options, before, after, changes),
        ...(await collect(options, folders, workspace, config)),
      ]
      return { outcome: applyVerification(options, toVerification(checks)), files }
    },
  }
}

async function look(
  workspace: OpenFolder,
  limits: ManifestLimits,
  config: EvidenceConfig,
  attempt: number,
): Promise<Before> {
  const contents = openContents(config)
  const manifest = await takeManifest(workspace.address, limits, undefined, contents?.keep)
  return {
    manifest: attempt === 0 ? manifest : { ...manifest, incomplete: manifest.incomplete ?? LATER },
    head: readGitHead(workspace.address),
    contents,
  }
}

/** Where nothing is kept of a run there is no use for them. */
const openContents = ({ dataDir, filesLimitBytes }: EvidenceConfig): BeforeContents | undefined =>
  filesLimitBytes === 0 ? undefined : new BeforeContents(dataDir)

function observe(
  { outcome, prepared, attempt, report }: VerifyOptions,
  before: Manifest,
  after: Manifest,
  changes: readonly FileChange[],
): VerificationCheck[] {
  const {
    lastResult,
    sessionsSeen,
    denialCount,
    deniedByPeople,
    toolResults,
    unrecordedResults,
    unreadLines,
    unansweredCalls,
    tasksEnded,
    lostResults,
  } = attempt.observation
  const unfinishedTasks = (outcome.unfinished ?? [])
    .filter(({ kind }) => kind === 'task')
    .map(({ description }) => description)
  // What a background task had called ended with it.
  const calls = unansweredCalls.filter(({ ofSubagent }) => ofSubagent === undefined || unfinishedTasks.length === 0)
  const { record, run, beginning, answerSchema, sessionId, folders } = prepared
  return checkRun({
    exitCode: outcome.exitCode,
    isSuccess: lastResult?.isError === false && outcome.signal === undefined,
    answer: outcome.result,
    isWhole: outcome.isPartial !== true,
    executionId: record.id,
    echoesId: run.json === true && run.outputSchema === undefined,
    hasSchema: answerSchema !== undefined,
    isContinued: beginning.kind === 'resume',
    workspace: folders.workspace,
    denials: Math.max(0, denialCount - deniedByPeople),
    deniedByPeople,
    unansweredCalls: calls.map(({ description }) => description),
    tasksEnded,
    unfinishedTasks,
    stopReason: outcome.stopReason,
    code: outcome.code,
    wasForced: report.wasForced,
    endedAfterAnswer: report.endedAfterAnswer,
    lostResults,
    mcpServers: attempt.servers,
    sessionId,
    sessionsSeen,
    toolResults,
    unrecordedResults,
    unreadLines,
    before,
    after,
    changes,
  })
}

/** Links may lead inside the workspace, not out of it. */
async function exists(path: string, workspace: OpenFolder): Promise<boolean> {
  const [root, resolved] = await Promise.all(
    ['.', path].map((one) => realpath(join(workspace.address, one)).catch(() => undefined)),
  )
  return root !== undefined && resolved !== undefined && isInside(resolved, root)
}

/** What the caller asked the server to look at by itself; commands only where the run has succeeded so far. */
async function collect(
  options: VerifyOptions,
  folders: RunFolders,
  workspace: OpenFolder,
  config: EvidenceConfig,
): Promise<VerificationCheck[]> {
  const { files, commands } = options.prepared.run.verify ?? {}
  const checks: VerificationCheck[] = []
  if (files) {
    const present = await Promise.all(files.map((path) => exists(path, workspace)))
    checks.push(
      checkRequiredFiles(
        files,
        files.filter((_path, index) => !present[index]),
      ),
    )
  }
  if (commands)
    checks.push(
      checkCommands(
        commands,
        options.outcome.status === 'succeeded' ? await runCommands(commands, options, folders, workspace, config) : [],
      ),
    )
  return checks
}

/** One after the other, to the first that fails; all together within the time that the run had. */
async function runCommands(
  commands: readonly string[][],
  { prepared: { run, command, reach }, attempt, containment, marker, onProcess }: VerifyOptions,
  folders: RunFolders,
  folder: OpenFolder,
  config: EvidenceConfig,
): Promise<CheckCommandReport[]> {
  const { signal, release } = joinSignals([attempt.stopped], run.timeoutSeconds * 1_000)
  const clean = Object.fromEntries(Object.entries(command.env).filter(([name]) => !CREDENTIALS.test(name)))
  const reports: CheckCommandReport[] = []
  try {
    for (const argv of commands) {
      const report = await runCheckCommand({
        argv,
        folder,
        env: { ...clean, TMPDIR: folders.temporary },
        containment,
        marker,
        hidden: listOwn({ config }),
        exposed: [folder.path, folders.home, folders.temporary],
        protected: listProtected({ config }),
        sandbox: reach.sandbox,
        heartbeatTimeoutMs: (config.lockSeconds * 1_000) / 2,
        onProcess,
        signal,
      })
      reports.push(report)
      if (!report.passes) break
    }
  } finally {
    release()
  }
  return reports
}

/**
 * Where `verify` was given, a failed check is a failed run; else it is only told. Whoever ended the run meanwhile has
 * ended it.
 */
function applyVerification(
  { outcome, prepared, attempt: { cause } }: VerifyOptions,
  verification: Verification,
): Outcome {
  const verified = { ...outcome, verification }
  if (outcome.status !== 'succeeded') return verified
  if (cause) return { ...verified, status: cause.status, code: cause.code, message: cause.message }
  const { verify } = prepared.run
  // Where they may be ended with the answer that is only told, unless it was asked about.
  const failed = verification.checks.filter(
    ({ status, name }) => status === 'fail' && (name !== 'background_tasks' || verify?.background === true),
  )
  if (verify === undefined || failed.length === 0) return verified
  return {
    ...verified,
    status: 'failed',
    code: 'VERIFICATION_FAILED',
    message: failed.map(({ name, detail }) => `${name}: ${detail}`).join(' '),
  }
}
