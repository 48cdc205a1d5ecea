import { getHooks } from '../../executions/read/hook-state.js'
import type { ExecutionServices } from '../../executions/services.js'

/** `hook_status` in the words of the original; its seconds are seconds. */
export async function toHookStatus(services: ExecutionServices): Promise<object> {
  const { path, configured, timeoutSeconds, recent, runs, failed, vetoed } = await getHooks(services)
  return {
    enabled: configured.length > 0,
    config_path: path ?? null,
    hooks_configured: configured,
    timeout: timeoutSeconds ?? null,
    parallel: false,
    recent_executions: recent.map(({ stage, name, exitCode, durationMs, at }) => ({
      hook_type: stage,
      name,
      exit_code: exitCode,
      duration: durationMs / 1_000,
      timestamp: at,
    })),
    statistics: { total: runs, failed, vetoed },
  }
}
