import { useState, type DragEvent } from 'react'
import { formatBytes } from '../app/format.js'
import { Icon } from '../ui/icons.js'
import type { Attached } from './request-form.js'
import type { DraftProps } from './task-fields.js'

const TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/pdf']

const readFile = (file: File): Promise<Attached> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.addEventListener('error', () => reject(new Error(`${file.name} cannot be read.`)))
    reader.addEventListener('load', () => {
      const [, data = ''] = typeof reader.result === 'string' ? reader.result.split(',', 2) : []
      resolve({ name: file.name, mediaType: file.type, data, size: file.size })
    })
    reader.readAsDataURL(file)
  })

type Props = DraftProps & { readonly setFault: (fault: string | undefined) => void }

/** Images and PDF for the model: chosen, or dropped here. */
export function Attachments({ draft: { attachments }, set, setFault }: Props) {
  const [isOver, setOver] = useState(false)
  async function add(files: readonly File[]): Promise<void> {
    const wrong = files.filter(({ type }) => !TYPES.includes(type))
    setFault(
      wrong.length > 0
        ? `Only PNG, JPEG, GIF, WebP and PDF can be attached, not ${wrong.map(({ name }) => name).join(', ')}.`
        : undefined,
    )
    const read = await Promise.all(files.filter(({ type }) => TYPES.includes(type)).map(readFile))
    set({ attachments: [...attachments, ...read] })
  }
  const drop = (event: DragEvent): void => {
    event.preventDefault()
    setOver(false)
    void add([...event.dataTransfer.files]).catch((error: Error) => setFault(error.message))
  }
  return (
    <div
      className="dropzone"
      data-over={isOver || undefined}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <label className="button small">
        <Icon name="plus" size={14} /> Attach images or PDF
        <input
          className="sr-only"
          type="file"
          multiple
          accept={TYPES.join(',')}
          onChange={({ target }) =>
            void add([...(target.files ?? [])]).catch((error: Error) => setFault(error.message))
          }
        />
      </label>
      <span className="muted">or drop them here</span>
      {attachments.map(({ name, size }, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- two may have the same name
        <span key={index} className="tag">
          {name} <small>{formatBytes(size)}</small>
          <button
            type="button"
            className="button quiet icon tiny"
            aria-label={`Remove ${name}`}
            onClick={() => set({ attachments: attachments.filter((_one, at) => at !== index) })}
          >
            <Icon name="cross" size={12} />
          </button>
        </span>
      ))}
    </div>
  )
}
