import { homedir } from 'node:os'
import { runGit, type GitMeans } from './run-git.js'

const FALLBACK = 'cc-executor <cc-executor@localhost>'

/** The author of the worker's commits, as `Name <address>`: the setting, else what git calls the worker's own user. */
export async function findAuthor(means: GitMeans, identity: string | undefined): Promise<string> {
  if (identity !== undefined) return identity
  const { stdout } = await runGit(means, {
    args: ['config', '--global', '--includes', '--get-regexp', '^user\\.(name|email)$'],
    cwd: means.home,
    env: { HOME: homedir(), XDG_CONFIG_HOME: `${homedir()}/.config`, GIT_CONFIG_GLOBAL: `${homedir()}/.gitconfig` },
    isOwn: true,
    accepts: [0, 1, 128],
  })
  const read = (key: string): string | undefined =>
    stdout
      .toString()
      .split('\n')
      .findLast((line) => line.startsWith(`${key} `))
      ?.slice(key.length + 1)
      .replaceAll(/[<>\p{Cc}]/gu, '')
      .trim()
  const [name, address] = [read('user.name'), read('user.email')]
  return name && address ? `${name} <${address}>` : FALLBACK
}
