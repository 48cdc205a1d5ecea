import { useEffect, useState } from 'react'
import type { Client, Execution } from 'cc-executor/client'
import { formatBytes } from '../app/format.js'
import { useClient } from '../app/session.js'
import { toClientError, usePoll } from '../app/use-poll.js'
import { Diff, readPatch } from '../timeline/diff.js'
import { LongText } from '../timeline/long-text.js'
import { saveBlob } from '../ui/save-file.js'
import { Empty, Fault, Loading } from '../ui/states.js'
import { hasEnded } from '../ui/status.js'

type WorkspaceFile = Awaited<ReturnType<Client['files']>>['files'][number]

const IMAGES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
}

/** What the run left in its workspace. */
export function FilesTab({ execution: { id, status } }: { readonly execution: Execution }) {
  const client = useClient()
  const isOver = hasEnded(status)
  const { value, error } = usePoll(
    `files ${id} ${isOver}`,
    async (signal) => (isOver ? client.files(id, { signal }) : undefined),
    undefined,
  )
  const [path, setPath] = useState<string>()
  if (!isOver)
    return (
      <Empty icon="file" title="The files are here when the run has ended">
        <p>Until then the conversation shows each edit as it happens.</p>
      </Empty>
    )
  if (error?.code === 'FILE_NOT_KEPT')
    return (
      <Empty icon="file" title="No files were kept">
        <p>{error.detail}</p>
      </Empty>
    )
  if (!value) return error ? <Fault error={error} /> : <Loading />
  const changed = value.files.filter(({ change }) => change !== 'unchanged')
  const others = value.files.filter(({ change }) => change === 'unchanged')
  const shown = path ?? changed[0]?.path
  const file = value.files.find((one) => one.path === shown)
  if (value.files.length === 0)
    return (
      <Empty icon="file" title="The workspace is empty">
        <p>The run has left no file.</p>
      </Empty>
    )
  return (
    <div className="files">
      <nav className="file-list" aria-label="Files">
        <p className="muted">
          {value.created} created, {value.modified} modified, {value.deleted} deleted
        </p>
        {[...changed, ...others].map((one) => (
          <button
            key={one.path}
            className="file-link"
            aria-current={one.path === shown ? 'true' : undefined}
            onClick={() => setPath(one.path)}
          >
            <span className={`change ${one.change}`} title={one.change}>
              {one.change === 'unchanged' ? '·' : (one.change[0] ?? '').toUpperCase()}
            </span>
            <span className="file-path">{one.path}</span>
            <span className="sr-only">, {one.change}</span>
          </button>
        ))}
        {value.notListed > 0 && <p className="muted">{value.notListed} more are not listed</p>}
      </nav>
      <div className="file-view">{file && <FileView key={file.path} executionId={id} file={file} />}</div>
    </div>
  )
}

type Shown = { readonly text: string } | { readonly image: string } | { readonly note: string }

function FileView({ executionId, file }: { readonly executionId: string; readonly file: WorkspaceFile }) {
  const client = useClient()
  const isChanged = file.change !== 'unchanged'
  const [view, setView] = useState<'diff' | 'content'>(file.change === 'created' || !isChanged ? 'content' : 'diff')
  const [shown, setShown] = useState<Shown>()
  const [bytes, setBytes] = useState<Uint8Array>()

  useEffect(() => {
    const stop = new AbortController()
    let image: string | undefined
    async function show(): Promise<Shown> {
      if (view === 'diff') return { text: await client.patch(executionId, file.path, { signal: stop.signal }) }
      if (file.content !== 'kept')
        return { note: `The content is not available: ${file.content.replaceAll('_', ' ')}.` }
      const content = await client.file(executionId, file.path, { signal: stop.signal })
      setBytes(content)
      const type = IMAGES[file.path.split('.').at(-1)?.toLowerCase() ?? '']
      if (type !== undefined) {
        image = URL.createObjectURL(new Blob([content.slice()], { type }))
        return { image }
      }
      if (content.includes(0)) return { note: 'This file is not text.' }
      return { text: new TextDecoder().decode(content) }
    }
    setShown(undefined)
    async function update(): Promise<void> {
      const shownNext = await show().catch((error: unknown) => ({ note: toClientError(error).detail }))
      if (!stop.signal.aborted) setShown(shownNext)
    }
    void update()
    return () => {
      stop.abort()
      if (image !== undefined) URL.revokeObjectURL(image)
    }
  }, [client, executionId, file, view])

  return (
    <>
      <div className="file-head">
        <strong className="file-path">{file.path}</strong>
        <span className="muted">{formatBytes(file.size ?? 0)}</span>
        <span className="spacer" />
        {isChanged && (
          <div className="segments" role="group" aria-label="View">
            <button aria-pressed={view === 'content'} onClick={() => setView('content')}>
              Content
            </button>
            <button aria-pressed={view === 'diff'} onClick={() => setView('diff')}>
              Diff
            </button>
          </div>
        )}
        {bytes && (
          <button
            className="button small"
            onClick={() => saveBlob(file.path.split('/').at(-1) ?? 'file', new Blob([bytes.slice()]))}
          >
            Download
          </button>
        )}
      </div>
      {!shown && <Loading />}
      {shown && 'note' in shown && <p className="muted">{shown.note}</p>}
      {shown && 'image' in shown && <img className="picture" src={shown.image} alt={file.path} />}
      {shown &&
        'text' in shown &&
        (view === 'diff' ? (
          <Diff lines={readPatch(shown.text)} label={`Diff of ${file.path}`} />
        ) : (
          <LongText text={shown.text} />
        ))}
    </>
  )
}
