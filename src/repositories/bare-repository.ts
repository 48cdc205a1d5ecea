import { copyFile, link, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../platform/make-folder.js'

/** Without a template: what lies in one would be run by name. */
const CONFIG = '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n'

/** What git looks for; git itself would take as long as all that follows. @param folder which is made */
export async function makeBare(folder: string, more = ''): Promise<void> {
  for (const name of ['objects/pack', 'objects/info', 'refs/heads', 'refs/tags', 'info'])
    await makeFolder(join(folder, name), 0o700)
  await writeFile(join(folder, 'config'), `${CONFIG}\tbare = true\n${more}`)
  await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/none\n')
}

/** Of a checkout that a run gets: an ordinary `.git`, with nothing in it but this. */
export async function makeGitFolder(
  folder: string,
  {
    commit,
    branch,
    url,
    upstream,
    more = '',
  }: {
    readonly commit: string
    /** undefined: none, as in a submodule. */
    readonly branch?: string | undefined
    readonly url: string
    readonly upstream?: string | undefined
    /** Of its configuration. */
    readonly more?: string
  },
): Promise<void> {
  for (const name of ['objects/pack', 'objects/info', 'refs/heads', 'refs/tags', 'info'])
    await makeFolder(join(folder, name), 0o755)
  const quoted = url.replaceAll(/["\\]/g, '\\$&')
  await writeFile(
    join(folder, 'config'),
    `${CONFIG}\tbare = false\n\tlogallrefupdates = true\n` +
      `[remote "origin"]\n\turl = "${quoted}"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n${more}`,
  )
  if (branch !== undefined) await writeReference(folder, `refs/heads/${branch}`, commit)
  if (upstream !== undefined) await writeReference(folder, `refs/remotes/origin/${upstream}`, commit)
  // Last: without it git sees no repository.
  await writeFile(join(folder, 'HEAD'), branch === undefined ? `${commit}\n` : `ref: refs/heads/${branch}\n`)
}

/** In a repository that only the worker writes. */
export async function writeReference(folder: string, name: string, commit: string): Promise<void> {
  const path = join(folder, name)
  await makeFolder(join(path, '..'), 0o755)
  await writeFile(`${path}.lock`, `${commit}\n`)
  await rename(`${path}.lock`, path)
}

const PACKS = /^pack-[0-9a-f]+\.(?:pack|idx|rev)$/

/**
 * Gives one repository the packs of another: `link` where only the worker can write both, else each gets its own copy.
 */
export async function giveObjects(from: string, to: string, how: 'link' | 'copy'): Promise<void> {
  const [source, target] = [join(from, 'objects/pack'), join(to, 'objects/pack')]
  const names = (await readdir(source)).filter((name) => PACKS.test(name))
  // A pack that has no index yet is not looked at: indexes come last.
  for (const name of names.sort((a, b) => Number(a.endsWith('.idx')) - Number(b.endsWith('.idx')))) {
    const [one, other] = [join(source, name), join(target, name)]
    const isLinked =
      how === 'link' &&
      (await link(one, other).then(
        () => true,
        () => false,
      ))
    if (!isLinked) await copyFile(one, other)
  }
  const shallow = await readFile(join(from, 'shallow')).catch(() => undefined)
  if (shallow) await writeFile(join(to, 'shallow'), shallow)
}
