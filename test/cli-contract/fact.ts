import type { Scene } from './scene.js'

/** One thing that this service relies on, looked at in a real CLI. */
export interface Fact {
  readonly name: string
  /** What would break without it. */
  readonly for: string
  /** Looked at in `npm test` too. */
  readonly short?: true
  /** Each behaviour that the service can live with, in the words of the table; a pattern where it is a value. */
  readonly known: readonly string[] | RegExp
  /** How it is with this CLI. */
  look(scene: Scene): Promise<string>
}

export const isKnown = ({ known }: Fact, found: string): boolean =>
  known instanceof RegExp ? known.test(found) : known.includes(found)

/** For a fact that holds or does not: what was seen otherwise stands in the table. */
export const holds = (is: boolean, otherwise: unknown): string =>
  is
    ? 'yes'
    : `no: ${(typeof otherwise === 'string' ? otherwise : (JSON.stringify(otherwise) ?? 'nothing')).slice(0, 300)}`
export const YES = ['yes'] as const
