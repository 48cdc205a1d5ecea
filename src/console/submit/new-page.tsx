import { useEffect, useState, type FormEvent } from 'react'
import type { ExecuteRequest } from 'cc-executor/client'
import { go, toHash, usePlace } from '../app/router.js'
import { SERVICE_URL, useClient } from '../app/session.js'
import { toClientError } from '../app/use-poll.js'
import { CopyButton } from '../ui/copy-button.js'
import { Dialog } from '../ui/dialog.js'
import { Fault, Loading, PageHead } from '../ui/states.js'
import { useAction } from '../ui/use-action.js'
import { Attachments } from './attachments.js'
import { Options } from './options.js'
import { EMPTY, toCurl, toDraft, toRequest, type Draft } from './request-form.js'
import { TaskFields } from './task-fields.js'

const read = (draft: Draft): { readonly request: ExecuteRequest } | { readonly fault: string } => {
  try {
    return { request: toRequest(draft) }
  } catch (error) {
    return { fault: `The other fields are not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}

export function NewPage() {
  const { query } = usePlace()
  const from = query.get('from')
  const fork = query.get('fork')
  // Made of another execution it is another form.
  return <RequestForm key={`${from} ${fork}`} from={from} fork={fork} />
}

function RequestForm({ from, fork }: { readonly from: string | null; readonly fork: string | null }) {
  const client = useClient()
  const { run, isBusy, error } = useAction()
  const [draft, setDraft] = useState(EMPTY)
  const [fault, setFault] = useState<string>()
  const [shown, setShown] = useState<'curl' | 'json'>()
  // What was typed before it has come would be lost.
  const [isReading, setReading] = useState(from !== null || fork !== null)
  const set = (change: Partial<Draft>): void => setDraft((last) => ({ ...last, ...change }))

  useEffect(() => {
    const stop = new AbortController()
    const source = from ?? fork
    if (source === null) return
    async function begin(id: string): Promise<void> {
      try {
        const again = toDraft(await client.get(id, { signal: stop.signal }))
        const forked = { mode: 'prompt', prompt: '', workspace: '', session: { resume: id, fork: true } } as const
        setDraft(fork === null ? again : { ...again, ...forked })
      } catch (cause) {
        if (!stop.signal.aborted) setFault(toClientError(cause).detail)
      }
      if (!stop.signal.aborted) setReading(false)
    }
    void begin(source)
    return () => stop.abort()
  }, [client, from, fork])

  const asked = read(draft)
  const isEmpty = draft.mode === 'prompt' ? !/\S/.test(draft.prompt) : !draft.tasks.some((task) => /\S/.test(task))
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if ('fault' in asked) return setFault(asked.fault)
    setFault(undefined)
    void run(async () => {
      const execution = await client.execute(asked.request, { idempotencyKey: crypto.randomUUID() })
      go(toHash(['executions', execution.id]))
    })
  }

  if (isReading) return <Loading />
  return (
    <form className="page narrow" onSubmit={submit}>
      <PageHead title={fork === null ? 'New execution' : 'Fork the conversation'} />
      <div className="segments" role="group" aria-label="What to run">
        <button type="button" aria-pressed={draft.mode === 'prompt'} onClick={() => set({ mode: 'prompt' })}>
          One prompt
        </button>
        <button
          type="button"
          aria-pressed={draft.mode === 'tasks'}
          disabled={fork !== null}
          onClick={() => set({ mode: 'tasks' })}
        >
          Task list
        </button>
      </div>
      {draft.mode === 'prompt' ? (
        <label className="field">
          <span>Prompt</span>
          <textarea
            className="input prompt"
            autoFocus
            rows={7}
            placeholder="What should Claude do?"
            value={draft.prompt}
            onChange={({ target }) => set({ prompt: target.value })}
          />
        </label>
      ) : (
        <TaskFields draft={draft} set={set} />
      )}
      <Attachments draft={draft} set={set} setFault={setFault} />
      <Options draft={draft} set={set} />
      {fault !== undefined && (
        <p className="alert" role="alert">
          {fault}
        </p>
      )}
      <Fault error={error} />
      <div className="actions sticky">
        <button className="button primary" disabled={isBusy || isEmpty}>
          {isBusy ? 'Submitting…' : 'Run'}
        </button>
        <button type="button" className="button" onClick={() => setShown('curl')}>
          As curl
        </button>
        <button type="button" className="button" onClick={() => setShown('json')}>
          As JSON
        </button>
      </div>
      {shown && (
        <Dialog title={shown === 'curl' ? 'As curl' : 'As JSON'} onClose={() => setShown(undefined)}>
          <Shown
            text={
              'fault' in asked
                ? asked.fault
                : shown === 'curl'
                  ? toCurl(SERVICE_URL, asked.request)
                  : JSON.stringify(asked.request, null, 2)
            }
          />
        </Dialog>
      )}
    </form>
  )
}

const Shown = ({ text }: { readonly text: string }) => (
  <>
    <pre className="code" tabIndex={0}>
      {text}
    </pre>
    <CopyButton text={text} />
  </>
)
