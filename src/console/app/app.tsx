import * as Tooltip from '@radix-ui/react-tooltip'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { ConnectPage } from './connect-page.js'
import { connect, forgetToken, keepToken, SessionContext, takeToken, type Session } from './session.js'
import { Shell } from './shell.js'

/** Whether a token is wanted is known once the service has answered without one. */
type State = { readonly step: 'asking' } | { readonly step: 'out'; readonly because?: string } | Connected
interface Connected {
  readonly step: 'in'
  readonly token: string | undefined
}

export function App() {
  const [state, setState] = useState<State>({ step: 'asking' })

  useEffect(() => {
    const token = takeToken()
    if (token !== undefined) return setState({ step: 'in', token })
    const client = connect(undefined)
    client.queue().then(
      () => setState({ step: 'in', token: undefined }),
      () => setState({ step: 'out' }),
    )
    return () => client.close()
  }, [])

  useEffect(() => {
    // A link with a token that is opened in this very tab.
    const look = (): void => {
      if (!/[?#&]token=/.test(location.hash)) return
      const token = takeToken()
      if (token !== undefined) setState({ step: 'in', token })
    }
    addEventListener('hashchange', look)
    return () => removeEventListener('hashchange', look)
  }, [])

  const leave = useCallback(() => {
    forgetToken()
    setState({ step: 'out', because: 'The token was removed, or the service does not accept it any more.' })
  }, [])

  if (state.step === 'asking') return <div className="splash" aria-busy="true" />
  if (state.step === 'out')
    return (
      <ConnectPage
        because={state.because}
        onToken={(token) => {
          keepToken(token)
          setState({ step: 'in', token })
        }}
      />
    )
  return <WithClient key={state.token ?? ''} token={state.token} leave={leave} />
}

function WithClient({ token, leave }: Omit<Session, 'client'>) {
  const [client] = useState(() => connect(token))
  const session = useMemo(() => ({ client, token, leave }), [client, token, leave])
  return (
    <SessionContext.Provider value={session}>
      <Tooltip.Provider delayDuration={300}>
        <Shell />
      </Tooltip.Provider>
    </SessionContext.Provider>
  )
}
