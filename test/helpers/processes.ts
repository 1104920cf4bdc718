import { onTestFinished } from 'vitest'
import { type ServiceProcess, spawnService } from './service-process.ts'

export type { ServiceProcess } from './service-process.ts'

/** `callbox start …` as it runs in production, that may post to loopback; killed when the test ends, if it still runs. */
export function startProcess(
  roles: string[],
  databaseUrl: string,
  settings: Record<string, string> = {},
): ServiceProcess {
  const service = spawnService(roles, databaseUrl, settings)
  onTestFinished(async () => {
    if (!service.hasExited()) service.signal('SIGKILL')
    await service.exited()
  })
  return service
}
