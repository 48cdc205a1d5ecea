export interface Found {
  readonly commit: string
  /** The branch that was named; undefined: a tag, a commit or the default. */
  readonly upstream: string | undefined
}

type Read = (args: readonly string[]) => Promise<string>

const ABBREVIATED = /^[0-9a-f]{7,64}$/

const toCommit = async (read: Read, name: string): Promise<string | undefined> =>
  (await read(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`])) || undefined

/**
 * What a request's `ref` is in a mirror: a branch before a tag, a name before a commit.
 * @param read gives what git says, nothing where it finds nothing
 */
export async function findReference(read: Read, ref: string | undefined): Promise<Found | undefined> {
  if (ref === undefined) {
    const commit = await toCommit(read, 'refs/cc/default')
    return commit === undefined ? undefined : { commit, upstream: undefined }
  }
  const names = ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`]
  const found = await read(['for-each-ref', '--format=%(refname)', ...names])
  // A name is also the folder of others.
  const name = names.find((one) => found.split('\n').includes(one))
  if (name !== undefined) {
    const commit = await toCommit(read, name)
    const [, upstream] = /^refs\/heads\/(.+)$/.exec(name) ?? []
    return commit === undefined ? undefined : { commit, upstream }
  }
  const commit = ABBREVIATED.test(ref) ? await toCommit(read, ref) : undefined
  return commit === undefined ? undefined : { commit, upstream: undefined }
}
