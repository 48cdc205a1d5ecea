import { useState } from 'react'
import { Icon } from './icons.js'

const SHOWN_MS = 1_500

export function CopyButton({ text, label = 'Copy' }: { readonly text: string; readonly label?: string }) {
  const [isCopied, setCopied] = useState(false)
  // On plain http to another host the browser has no clipboard for a page: then it is not offered.
  if (!('clipboard' in navigator)) return null
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    setTimeout(() => setCopied(false), SHOWN_MS)
  }
  return (
    <button type="button" className="button quiet small" onClick={() => void copy()}>
      <Icon name={isCopied ? 'check' : 'copy'} size={15} />
      {isCopied ? 'Copied' : label}
    </button>
  )
}
