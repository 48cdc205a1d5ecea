/** How `allowWith` begins where nothing that a caller can set would help; the reason follows. */
export const NO_SETTING = 'no setting: '

/** For a reader: what would allow a denied call, or why nothing does. */
export const toRemedy = (allowWith: string): string =>
  allowWith.startsWith(NO_SETTING) ? allowWith.slice(NO_SETTING.length) : `to allow it: ${allowWith}`
