import { runGit, type GitMeans } from './run-git.js'

/** What stands in a commit in place of a file of Git LFS. */
export interface LfsPointer {
  /** SHA-256 of the file. */
  readonly oid: string
  readonly size: number
}

/** git-lfs takes nothing larger for one, and none is as small as the least. */
const BYTES = { least: 100, most: 1_024 } as const
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/

function readPointer(text: string): LfsPointer | undefined {
  const [, oid, size] = POINTER.exec(text) ?? []
  return oid === undefined ? undefined : { oid, size: Number(size) }
}

const isOfSize = (size: number): boolean => size >= BYTES.least && size <= BYTES.most

const own = (means: GitMeans, repository: string, args: readonly string[], more: object = {}) =>
  runGit(means, { args, cwd: repository, env: { GIT_DIR: repository }, isOwn: true, ...more })

/** Which of these blobs are pointers, each by its name; they are small. */
async function readPointers(
  means: GitMeans,
  repository: string,
  blobs: readonly string[],
): Promise<Map<string, LfsPointer>> {
  const found = new Map<string, LfsPointer>()
  if (blobs.length === 0) return found
  let rest = Buffer.alloc(0)
  await own(means, repository, ['cat-file', '--batch', '--buffer'], {
    input: `${blobs.join('\n')}\n`,
    onOutput(chunk: Buffer) {
      rest = Buffer.concat([rest, chunk])
      for (;;) {
        const line = rest.indexOf('\n')
        if (line < 0) return
        const [blob = '', , size] = rest.subarray(0, line).toString('latin1').split(' ')
        // One that is missing has no size.
        const end = line + 1 + (size === undefined ? 0 : Number(size) + 1)
        if (rest.length < end) return
        const pointer =
          size === undefined ? undefined : readPointer(rest.subarray(line + 1, end - 1).toString('latin1'))
        if (pointer) found.set(blob, pointer)
        rest = rest.subarray(end)
      }
    },
  })
  return found
}

/** Of every file of a commit that is a pointer: the same one as often as there are files of it. */
export async function listPointers(means: GitMeans, repository: string, commit: string): Promise<LfsPointer[]> {
  const { stdout } = await own(means, repository, ['ls-tree', '-r', '-l', '-z', '--full-tree', commit])
  const blobs = stdout
    .toString('latin1')
    .split('\0')
    .flatMap((entry) => {
      const [, blob = '', size] = /^100\d{3} blob ([0-9a-f]+) +(\d+)\t/.exec(entry) ?? []
      return isOfSize(Number(size)) ? [blob] : []
    })
  const pointers = await readPointers(means, repository, [...new Set(blobs)])
  return blobs.flatMap((blob) => pointers.get(blob) ?? [])
}

/** What commits have brought, each once. */
export async function listNewPointers(
  means: GitMeans,
  repository: string,
  { base, head }: { readonly base: string; readonly head: string },
): Promise<LfsPointer[]> {
  const { stdout: objects } = await own(means, repository, [
    'rev-list',
    '--objects',
    '--no-object-names',
    `${base}..${head}`,
  ])
  const { stdout: kinds } = await own(means, repository, ['cat-file', '--batch-check', '--buffer'], { input: objects })
  const blobs = kinds
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [blob = '', kind, size] = line.split(' ')
      return kind === 'blob' && isOfSize(Number(size)) ? [blob] : []
    })
  const pointers = await readPointers(means, repository, blobs)
  return [...new Map([...pointers.values()].map((pointer) => [pointer.oid, pointer])).values()]
}
