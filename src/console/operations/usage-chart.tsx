import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip } from 'chart.js'
import { useEffect, useRef } from 'react'
import { formatCost, formatCount } from '../app/format.js'

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip)

interface Props {
  readonly label: string
  readonly names: readonly string[]
  readonly values: readonly number[]
  readonly unit: 'cost' | 'tokens'
}

/** Bars in the colours of the page; who cannot see them has the table. */
export function UsageChart({ label, names, values, unit }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const data = JSON.stringify([names, values, unit])
  useEffect(() => {
    if (!canvas.current) return
    // Of an element, since the variables of the page hold both themes.
    const colorOf = (name: string): string => getComputedStyle(document.querySelector(name) ?? document.body).color
    const format = unit === 'cost' ? formatCost : formatCount
    const muted = colorOf('.chart-muted')
    const chart = new Chart(canvas.current, {
      type: 'bar',
      data: {
        labels: [...names],
        datasets: [
          { data: [...values], backgroundColor: colorOf('.chart-accent'), borderRadius: 4, maxBarThickness: 40 },
        ],
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        plugins: { tooltip: { callbacks: { label: ({ parsed }) => format(parsed.y ?? 0) } } },
        scales: {
          x: { grid: { display: false }, ticks: { color: muted } },
          y: {
            beginAtZero: true,
            grid: { color: colorOf('.chart-grid') },
            ticks: { color: muted, callback: (tick) => format(Number(tick)) },
          },
        },
      },
    })
    return () => chart.destroy()
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- what is drawn is in one text
  }, [data])
  return (
    <div className="chart">
      <span className="chart-accent" />
      <span className="chart-muted" />
      <span className="chart-grid" />
      <canvas ref={canvas} role="img" aria-label={label} />
    </div>
  )
}
