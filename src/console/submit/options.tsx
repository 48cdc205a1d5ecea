import type { ReactNode } from 'react'
import type { Draft } from './request-form.js'
import type { DraftProps } from './task-fields.js'

/** Names of fields that are typed as text. */
type TextField = { [Name in keyof Draft]: Draft[Name] extends string ? Name : never }[keyof Draft]

export function Options({ draft, set }: DraftProps) {
  const input = (name: TextField, label: string, placeholder: string, hint?: ReactNode) => (
    <label className="field">
      <span>{label}</span>
      <input
        className="input"
        placeholder={placeholder}
        value={draft[name]}
        onChange={({ target }) => set({ [name]: target.value })}
      />
      {hint !== undefined && <small className="hint">{hint}</small>}
    </label>
  )
  const select = (name: TextField, label: string, options: Readonly<Record<string, string>>) => (
    <label className="field">
      <span>{label}</span>
      <select className="select" value={draft[name]} onChange={({ target }) => set({ [name]: target.value })}>
        {Object.entries(options).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
  return (
    <>
      <fieldset className="group">
        <legend>Permissions</legend>
        <label className="check">
          <input type="checkbox" checked={draft.ask} onChange={({ target }) => set({ ask: target.checked })} />
          Ask me where a call needs permission, and let Claude ask questions
        </label>
        <div className="grid">
          {select('permissionMode', 'Permission mode', {
            '': 'Default of the service',
            default: 'default: asks for edits and commands',
            acceptEdits: 'acceptEdits: edits without asking',
            plan: 'plan: only a plan',
            dontAsk: 'dontAsk: what is not allowed is denied',
          })}
          {input('allowedTools', 'Allowed tools', 'Bash(npm test:*), WebFetch')}
          {select('sandbox', 'Sandbox', {
            '': 'Default of the service',
            host: 'host',
            workspace: 'workspace: only its own files',
            locked: 'locked: no network, too',
          })}
        </div>
      </fieldset>
      <fieldset className="group">
        <legend>Where and how</legend>
        <div className="grid">
          {input('workspace', 'Workspace', 'a fresh folder')}
          {draft.session === undefined ? null : (
            <p className="note">Continues the conversation of {draft.session.resume.slice(0, 8)} in a copy.</p>
          )}
          {input('model', 'Model', 'default of the CLI')}
          {select('effort', 'Effort', {
            '': 'Default',
            low: 'low',
            medium: 'medium',
            high: 'high',
            xhigh: 'xhigh',
            max: 'max',
          })}
          {select('priority', 'Priority', { '': 'normal', low: 'low', high: 'high' })}
          {input('labels', 'Labels', 'team=docs, ticket=42')}
        </div>
      </fieldset>
      <fieldset className="group">
        <legend>Limits</legend>
        <div className="grid">
          {input('timeoutSeconds', 'Timeout in seconds', '600', '“auto”: by what earlier runs took')}
          {input('maxBudgetUsd', 'Budget in US dollars', 'no limit')}
          {input('maxTurns', 'Turns', 'no limit')}
        </div>
      </fieldset>
      <details className="group">
        <summary>More</summary>
        <label className="check">
          <input type="checkbox" checked={draft.json} onChange={({ target }) => set({ json: target.checked })} />
          JSON mode: the answer is an object
        </label>
        <label className="field">
          <span>Appended to the system prompt</span>
          <textarea
            className="input"
            rows={2}
            value={draft.appendSystemPrompt}
            onChange={({ target }) => set({ appendSystemPrompt: target.value })}
          />
        </label>
        <label className="field">
          <span>Any other field of the request, as JSON</span>
          <textarea
            className="input mono"
            rows={5}
            spellCheck={false}
            placeholder={'{"verify": {"files": ["report.md"]}}'}
            value={draft.others}
            onChange={({ target }) => set({ others: target.value })}
          />
          <small className="hint">
            As <a href="../docs/">the API’s page</a> describes them: outputSchema, verify, mcpServers, agents, files,
            webhooks and the rest.
          </small>
        </label>
      </details>
    </>
  )
}
