export type Theme = 'system' | 'light' | 'dark'

const KEY = 'cc-executor.theme'
const THEMES: readonly string[] = ['system', 'light', 'dark']

export function readTheme(): Theme {
  const stored = localStorage.getItem(KEY) ?? ''
  return THEMES.includes(stored) ? (stored as Theme) : 'system'
}

/** The style sheet follows `color-scheme`; the system decides unless somebody has. */
export function applyTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, theme)
  document.documentElement.dataset['theme'] = theme
}
