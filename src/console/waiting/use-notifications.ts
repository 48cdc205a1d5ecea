import { useEffect, useRef, useSyncExternalStore } from 'react'
import type { Approval } from 'cc-executor/client'
import { toHash } from '../app/router.js'

const KEYS = { sound: 'cc-executor.sound', notification: 'cc-executor.notification' } as const
export type Signal = keyof typeof KEYS

const listeners = new Set<() => void>()
const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useSignal = (signal: Signal): boolean =>
  useSyncExternalStore(subscribe, () => localStorage.getItem(KEYS[signal]) === 'on')

export async function setSignal(signal: Signal, isOn: boolean): Promise<void> {
  if (signal === 'notification' && isOn && (await Notification.requestPermission()) !== 'granted') return
  if (isOn) localStorage.setItem(KEYS[signal], 'on')
  else localStorage.removeItem(KEYS[signal])
  if (signal === 'sound' && isOn) playSound()
  for (const listener of listeners) listener()
}

/** Two short tones; made here, so that no file is loaded. */
function playSound(): void {
  const context = new AudioContext()
  const volume = context.createGain()
  volume.gain.value = 0.06
  volume.connect(context.destination)
  for (const [index, frequency] of [660, 880].entries()) {
    const tone = context.createOscillator()
    tone.frequency.value = frequency
    tone.connect(volume)
    tone.start(context.currentTime + index * 0.14)
    tone.stop(context.currentTime + index * 0.14 + 0.12)
  }
  setTimeout(() => void context.close(), 1_000)
}

/** Tells once of each approval that comes while the page is open. */
export function useNotifications(approvals: readonly Approval[]): void {
  const known = useRef<ReadonlySet<string>>()
  const hasSound = useSignal('sound')
  const hasNotification = useSignal('notification')
  useEffect(() => {
    const before = known.current
    const fresh = before ? approvals.filter(({ id }) => !before.has(id)) : []
    known.current = new Set(approvals.map(({ id }) => id))
    const [first] = fresh
    if (!first) return
    if (hasSound) playSound()
    if (hasNotification && document.hidden) {
      const shown = new Notification('Claude waits for you', {
        body: first.kind === 'tool' ? first.tool : first.kind,
        tag: first.id,
      })
      shown.addEventListener('click', () => {
        window.focus()
        location.hash = toHash(['waiting'])
      })
    }
  }, [approvals, hasSound, hasNotification])
}
