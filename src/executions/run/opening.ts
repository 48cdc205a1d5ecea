/** What one run is shown beside its folders, at a level above `host`. */
export interface Opening {
  readonly readable: readonly string[]
  readonly writable: readonly string[]
  readonly protected: readonly string[]
}
