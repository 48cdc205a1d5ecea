import type { ReactNode } from 'react'
import type { ClientError } from 'cc-executor/client'
import { Icon, type IconName } from './icons.js'

export const Loading = () => (
  <p className="loading" role="status">
    Loading…
  </p>
)

/** What to do where there is nothing. */
export const Empty = (props: { readonly icon: IconName; readonly title: string; readonly children?: ReactNode }) => (
  <div className="empty">
    <Icon name={props.icon} size={32} />
    <h2>{props.title}</h2>
    {props.children}
  </div>
)

export function Fault({ error }: { readonly error: ClientError | undefined }) {
  if (!error) return null
  return (
    <div className="alert" role="alert">
      <strong>
        {error.code === 'FORBIDDEN' ? 'Not allowed' : error.code === 'UNREACHABLE' ? 'No connection' : error.code}
      </strong>{' '}
      {error.detail}
      {error.errors?.map(({ path, message }) => (
        <div key={path}>
          <code>{path}</code> {message}
        </div>
      ))}
    </div>
  )
}

export const PageHead = (props: {
  readonly title: string
  readonly children?: ReactNode
  readonly hint?: ReactNode
}) => (
  <div className="page-head">
    <div>
      <h1>{props.title}</h1>
      {props.hint !== undefined && <p className="muted">{props.hint}</p>}
    </div>
    <div className="actions">{props.children}</div>
  </div>
)
