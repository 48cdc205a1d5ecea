// What a worker gives to src/repositories for one claim, without a worker.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { toRepositorySettings } from '../../src/platform/repository-settings.js'
import { makeGitHome } from '../../src/git/git-environment.js'
import type { Mirrors } from '../../src/repositories/mirror.js'
import type { GitMeans } from '../../src/repositories/run-git.js'
import type { Containment } from '../../src/supervision/containment.js'

/** @param folder of this claim; `mirrors` of a folder above it may be shared */
export async function openRoom(
  folder: string,
  containment: Containment,
  { mirrors = join(folder, 'mirrors'), ...more }: Partial<GitMeans> & { readonly mirrors?: string } = {},
): Promise<Mirrors> {
  const home = join(folder, 'home')
  await makeGitHome(home)
  await mkdir(mirrors, { recursive: true })
  await mkdir(join(folder, 'workspace'), { recursive: true })
  return {
    folder: mirrors,
    settings: toRepositorySettings({
      CC_EXECUTOR_REPOSITORIES: ['*'],
      CC_EXECUTOR_GIT_CREDENTIALS_FILE: undefined,
      CC_EXECUTOR_GIT_TIMEOUT_SECONDS: 300,
      CC_EXECUTOR_REPOSITORY_LIMIT_BYTES: 64 * 1024 * 1024,
      CC_EXECUTOR_MIRRORS_LIMIT_BYTES: 1024 ** 3,
      CC_EXECUTOR_MIRRORS_SECONDS: 3_600,
    }),
    means: {
      containment,
      marker: `test/${folder.split('/').at(-1)}/1`,
      heartbeatTimeoutMs: 60_000,
      onProcess: () => undefined,
      environment: process.env,
      limits: {},
      home,
      ownFolders: [],
      timeoutMs: 300_000,
      signal: new AbortController().signal,
      ...more,
    },
  }
}
