import * as Switch from '@radix-ui/react-switch'
import { useId } from 'react'

interface Props {
  readonly label: string
  readonly isOn: boolean
  readonly onChange: (isOn: boolean) => void
  readonly isDisabled?: boolean
}

export function Toggle({ label, isOn, onChange, isDisabled = false }: Props) {
  const id = useId()
  return (
    <span className="toggle">
      <Switch.Root id={id} className="switch" checked={isOn} onCheckedChange={onChange} disabled={isDisabled}>
        <Switch.Thumb className="thumb" />
      </Switch.Root>
      <label htmlFor={id}>{label}</label>
    </span>
  )
}
