// The program of the extension for Claude Desktop (src/setup/make-desktop-bundle.mjs): `mcp`, and nothing else.
import { serveMcp } from './mcp.js'

try {
  await serveMcp([])
} catch (error) {
  // The client keeps it in its log.
  process.stderr.write(`cc-executor: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  process.exit()
}
