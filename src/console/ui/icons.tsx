const PATHS = {
  list: 'M4 6h16M4 12h16M4 18h10',
  bell: 'M6 16V11a6 6 0 1 1 12 0v5l1.5 2h-15zM10 21h4',
  plus: 'M12 5v14M5 12h14',
  layers: 'M12 3l9 5-9 5-9-5zM3 13l9 5 9-5',
  chart: 'M5 20V11M12 20V4M19 20v-6',
  clock: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 7v5l3 2',
  send: 'M21 3L10 14M21 3l-7 18-4-7-7-4z',
  key: 'M8 12a4 4 0 1 0 0 6a4 4 0 1 0 0-6M9 13l9-9M15 7l3 3',
  pulse: 'M3 12h4l3-8 4 16 3-8h4',
  sliders: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5a2 2 0 1 0 0 4a2 2 0 1 0 0-4M9 15a2 2 0 1 0 0 4a2 2 0 1 0 0-4',
  menu: 'M4 7h16M4 12h16M4 17h16',
  chevron: 'M9 6l6 6-6 6',
  down: 'M6 9l6 6 6-6',
  check: 'M5 13l4 4 10-11',
  cross: 'M6 6l12 12M18 6L6 18',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4l12 8-12 8z',
  stop: 'M6 6h12v12H6z',
  file: 'M6 3h8l4 4v14H6zM14 3v5h4',
  terminal: 'M5 7l5 5-5 5M12 18h7',
  pencil: 'M4 20l1-5L16 4l4 4L9 19z',
  search: 'M11 4a7 7 0 1 0 0 14a7 7 0 1 0 0-14M16 16l5 5',
  tool: 'M14 6a4 4 0 0 1 5-1l-3 3 1 2 2 1 2-3a4 4 0 0 1-5 5l-8 8-3-3 8-8a4 4 0 0 1 1-4',
  people: 'M9 5a3 3 0 1 0 0 7a3 3 0 1 0 0-7M3 20a6 6 0 0 1 12 0M16 6a3 3 0 0 1 0 6M17 14a6 6 0 0 1 4 6',
  lock: 'M6 11h12v10H6zM8 11V8a4 4 0 0 1 8 0v3',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  globe: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M3 12h18M12 3c5 6 5 12 0 18M12 3c-5 6-5 12 0 18',
  spark: 'M12 3l2 7 7 2-7 2-2 7-2-7-7-2 7-2z',
  info: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 11v5M12 8v.01',
} as const

export type IconName = keyof typeof PATHS

/** Decoration beside a word; a button of an icon alone has a label. */
export const Icon = ({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) => (
  <svg className="svg-icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d={PATHS[name]} />
  </svg>
)

export const Logo = ({ small = false }: { readonly small?: boolean }) => (
  <svg className="logo" width={small ? 28 : 52} height={small ? 28 : 52} viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M9 10l6 6-6 6M17 22h7" />
  </svg>
)
