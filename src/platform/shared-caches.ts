import { isAbsolute, normalize } from 'node:path'

/**
 * By which variables a tool finds its cache, and where in the folder. Only tools that may run several at a time on one
 * cache, and whose cache is no more than that: cargo's holds its configuration and programs besides, so it is shared by
 * runs of one token at most.
 */
const TOOLS = {
  npm: { npm_config_cache: '' },
  yarn: { YARN_CACHE_FOLDER: '' },
  pip: { PIP_CACHE_DIR: '' },
  uv: { UV_CACHE_DIR: '' },
  go: { GOMODCACHE: 'mod', GOCACHE: 'build' },
  cargo: { CARGO_HOME: '' },
} as const
export type CacheTool = keyof typeof TOOLS

export interface SharedCache {
  readonly tool: CacheTool
  /** A folder of the operator's, of which each run gets a copy; undefined: one for each token. */
  readonly copyOf?: string
}

export const variablesOf = (tool: CacheTool): ReadonlyArray<readonly [name: string, below: string]> =>
  Object.entries(TOOLS[tool])

const isTool = (name: string): name is CacheTool => Object.hasOwn(TOOLS, name)

/** `npm,pip=/srv/pip` @throws Error in words for the operator */
export function parseSharedCaches(text: string): SharedCache[] {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  const caches = entries.map((entry): SharedCache => {
    const [tool = '', ...rest] = entry.split('=')
    if (!isTool(tool)) throw new Error(`expected ${Object.keys(TOOLS).join(', ')}, not ${JSON.stringify(tool)}`)
    if (rest.length === 0) return { tool }
    const copyOf = rest.join('=')
    if (!isAbsolute(copyOf)) throw new Error(`expected an absolute path after ${tool}=`)
    return { tool, copyOf: normalize(copyOf) }
  })
  if (new Set(caches.map(({ tool }) => tool)).size < caches.length) throw new Error('names a tool twice')
  return caches
}
