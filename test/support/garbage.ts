import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
// Safe: the flag above gives a new context this function.
const collect = runInNewContext('gc') as () => void

/** Collects garbage again and again while something is awaited: what only a weak reference holds is gone by then. */
export async function amidCollections<Result>(promise: Promise<Result>): Promise<Result> {
  const timer = setInterval(collect, 50)
  try {
    return await promise
  } finally {
    clearInterval(timer)
  }
}
