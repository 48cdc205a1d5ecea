import { Component, type ReactNode } from 'react'

/** A page that fails says so; the others stay. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, { readonly error?: unknown }> {
  override state: { readonly error?: unknown } = {}

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error }
  }

  override render(): ReactNode {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return (
      <div className="empty" role="alert">
        <h2>This page could not be shown</h2>
        <p>{error instanceof Error ? error.message : 'Something unexpected was thrown.'}</p>
        <button className="button" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
    )
  }
}
