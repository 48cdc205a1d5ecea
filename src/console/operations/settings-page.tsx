import { useState } from 'react'
import { useClient } from '../app/session.js'
import { usePoll } from '../app/use-poll.js'
import { Empty, Fault, Loading, PageHead } from '../ui/states.js'

/** What the API that answers works by; workers have an environment of their own. */
export function SettingsPage() {
  const client = useClient()
  const { value, error } = usePoll('settings', (signal) => client.config({ signal }), undefined)
  const [text, setText] = useState('')
  const [isOnlySet, setOnlySet] = useState(false)
  const wanted = text.trim().toLowerCase()
  const shown = (value?.settings ?? []).filter(
    ({ name, description, origin }) =>
      (!isOnlySet || origin !== 'default') && `${name} ${description}`.toLowerCase().includes(wanted),
  )
  return (
    <div className="page">
      <PageHead
        title="Settings"
        hint="In force in the API process that answers this page. They are read when it starts: set them in its environment or in .env, then restart it."
      />
      <div className="filters" role="search">
        <input
          className="input"
          type="search"
          aria-label="Name or description"
          placeholder="Search settings"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <label className="check">
          <input type="checkbox" checked={isOnlySet} onChange={({ target }) => setOnlySet(target.checked)} />
          Only those that were set
        </label>
      </div>
      <Fault error={error} />
      {!value && !error && <Loading />}
      {value && shown.length === 0 && (
        <Empty icon="search" title="No setting matches">
          <p>{isOnlySet ? 'Everything else has its default.' : 'Search for another word.'}</p>
        </Empty>
      )}
      {shown.length > 0 && (
        <div className="table-scroll" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th>Setting</th>
                <th>Value</th>
                <th>Origin</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ name, value, isMasked, origin, description }) => (
                <tr key={name}>
                  <td className="setting">
                    <code>{name}</code>
                    <small className="muted">{description}</small>
                  </td>
                  <td className="setting-value">
                    {value === null || value === '' ? (
                      <span className="muted">not set</span>
                    ) : isMasked ? (
                      'a secret'
                    ) : (
                      <code>{value}</code>
                    )}
                  </td>
                  <td className={origin === 'default' ? 'muted' : undefined}>{origin}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  )
}
