import type { Socket } from 'node:net'

/** What was spawned for a run. */
export interface SpawnedRoot {
  readonly pid: number
  hasEnded(): boolean
  /** SIGKILL, and to no other process that has its number by now. */
  kill(): void
  /** Called once. */
  onEnd(listener: () => void): void
}

/** What is to be started. */
export interface StartRequest {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** `launch`: the command is the arguments of the mapped launcher. */
  readonly way: 'exec' | 'launch'
  /** What the descriptors from 6 on are: a text, or one of this process. */
  readonly inputs: ReadonlyArray<string | Buffer | number>
  readonly command: readonly string[]
}

export interface Started {
  readonly root: SpawnedRoot
  /** The other ends of its descriptors 0 to 5. */
  readonly streams: readonly Socket[]
}

/** Starts processes from a small process of its own (spawner-program.ts). */
export interface Spawner {
  /** undefined: there is none at the moment, and the caller has to start it itself. @throws SuperviseError */
  start(request: StartRequest): Promise<Started | undefined>
  /** What it has started ends with it. */
  close(): Promise<void>
}
