// The API's HEALTHCHECK, at the port that it is told to listen on. The health paths answer to every Host.
const port = process.env.CC_EXECUTOR_PORT || '8001'
fetch(`http://127.0.0.1:${port}/health/live`, { signal: AbortSignal.timeout(4_000) }).then(
  ({ ok }) => process.exit(ok ? 0 : 1),
  (error) => {
    console.error(String(error.cause ?? error))
    process.exit(1)
  },
)
