import type { ReactNode } from 'react'

export const Figures = ({ children }: { readonly children: ReactNode }) => <div className="figures">{children}</div>

interface Props {
  readonly name: string
  readonly value: string | number
  readonly detail?: string
  readonly link?: string
}

export const Figure = ({ name, value, detail, link }: Props) => (
  <div className="figure">
    <span className="muted">{name}</span>
    <strong>{typeof value === 'number' ? value.toLocaleString('en') : value}</strong>
    {detail !== undefined && <small className="muted">{detail}</small>}
    {link !== undefined && <a href={link}>Show</a>}
  </div>
)
