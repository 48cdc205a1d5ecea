// Makes the pictures of the console in README.md again, from simulated runs.
// npm run build && npx tsc && node dist/test/support/record-console.js
import { join } from 'node:path'
import { openBrowser } from './browser.js'
import { ROOT } from './paths.js'
import { openTestService } from './service.js'

const SIZE = { width: 1280, height: 800 }
const withScript = (text: string, steps: readonly unknown[]): string =>
  `${text}\n\n\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\``
const file_path = '${cwd}/greet.py'
const MODULE = 'def greet(name: str) -> str:\n    return f"Hello, {name}!"\n\n\nprint(greet("world"))\n'
const RUN = withScript('Write greet.py, give the name a default, and run it.', [
  { thinking: 'A function and a line that prints are enough.' },
  { text: 'I write the **module** first, then give the name a default, and run it.', chunks: 3 },
  { tool: 'Write', input: { file_path, content: MODULE } },
  { turn: true },
  { tool: 'Edit', input: { file_path, old_string: '(name: str)', new_string: '(name: str = "world")' } },
  { turn: true },
  { tool: 'Bash', input: { command: 'python3 greet.py', description: 'Run the module' } },
  { turn: true },
  { text: 'It works: `greet()` says hello to the world, `greet("Ada")` to Ada.' },
])
const ASKS = withScript('Publish the package', [
  { tool: 'Bash', input: { command: 'git init -q && git tag v1.0.0', description: 'Tag the release' } },
  { text: 'Published.' },
])
const QUESTION = {
  question: 'Which database should the service use?',
  header: 'Database',
  multiSelect: false,
  options: [
    { label: 'PostgreSQL', description: 'Already used by two other services' },
    { label: 'SQLite', description: 'One file, no server' },
  ],
}
const QUESTIONS = withScript('Set up a database', [
  { tool: 'AskUserQuestion', input: { questions: [QUESTION] } },
  { text: 'Thank you.' },
])

const releasers: Array<() => Promise<void>> = []
try {
  const service = await openTestService({ teardown: (release) => void releasers.push(release) })
  const allowed = { permissionMode: 'acceptEdits', allowedTools: ['Bash(python3:*)'] }
  const run = await service.submit({ prompt: RUN, ...allowed, metadata: { team: 'docs' } })
  await service.finished(run.id)
  for (const prompt of [ASKS, QUESTIONS]) await service.submit({ prompt, onPermissionNeeded: 'ask' })
  const browser = await openBrowser()
  releasers.push(() => browser.close())
  const take = async (path: string, ready: string, name: string): Promise<void> => {
    const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' })
    await page.goto(`${service.url()}/console/#/${path}?token=${service.token}`)
    await page.locator(ready).last().waitFor()
    await page.screenshot({ path: join(ROOT, 'test/fixtures', name) })
    await page.close()
  }
  await take(`executions/${run.id}`, '.diff-line.added', 'console.png')
  await take('waiting', '.approval >> nth=1', 'console-waiting.png')
} finally {
  for (const release of releasers.toReversed()) await release()
}
