import { useState } from 'react'
import { applyTheme, readTheme, type Theme } from './theme.js'

export function ThemeMenu() {
  const [theme, setTheme] = useState(readTheme)
  return (
    <label className="theme">
      <span className="sr-only">Colours</span>
      <select
        className="select small"
        value={theme}
        onChange={({ target }) => {
          const chosen = target.value as Theme
          applyTheme(chosen)
          setTheme(chosen)
        }}
      >
        <option value="system">System colours</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  )
}
