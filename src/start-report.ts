import type { Config, Role } from './config.ts'
import { effortFor, effortsTaken } from './pipeline/model-parameters.ts'
import type { Logger } from './telemetry/logger.ts'

/**
 * Logs where the service is and what it cannot do yet.
 *
 * @param config as it was given, without what was generated.
 * @param addresses with the ports that it listens on.
 */
export function sayWhatIsMissing(
  config: Config,
  { publicUrl, adminUrl }: Pick<Config, 'publicUrl' | 'adminUrl'>,
  chosen: readonly Role[],
  log: Logger,
): void {
  const lack = (setting: string, meaning: string): void => {
    log.warn({ event: 'service.lacks', setting }, `no ${setting}: ${meaning}`)
  }
  if (chosen.includes('api')) {
    log.info({ event: 'service.address', url: publicUrl }, `Twilio's callbacks go to ${publicUrl}/webhook/…`)
    if (config.databaseUrl === null) log.info({ event: 'service.embedded', home: config.home }, 'embedded PostgreSQL')
    const token =
      config.adminTokens.length > 0 ? 'a token of ADMIN_TOKEN' : `the adminToken in ${config.home}/secrets.json`
    log.info({ event: 'service.console' }, `the console is at ${adminUrl}/console; sign in with ${token}`)
    if (config.twilio.authTokens.length === 0) {
      lack('TWILIO_AUTH_TOKEN', 'every callback is refused with 403, since its signature cannot be checked')
    }
  }
  if (chosen.includes('worker')) {
    if (config.twilio.accountSid === null || config.twilio.authTokens.length === 0) {
      lack('TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN', 'recordings cannot be fetched; their calls wait')
    }
    if (config.openai.apiKey === null && config.openai.baseUrl === null) {
      lack('OPENAI_API_KEY', 'recordings cannot be transcribed; their calls wait')
    }
    sayWhetherEffortIsSent(config.openai, log)
  }
}

function sayWhetherEffortIsSent({ reasoningEffort, summaryModel }: Config['openai'], log: Logger): void {
  if (reasoningEffort === null || effortFor(summaryModel, reasoningEffort) !== null) return
  const taken = effortsTaken(summaryModel).join(', ')
  log.warn(
    { event: 'service.unused_setting', setting: 'OPENAI_REASONING_EFFORT' },
    `OPENAI_REASONING_EFFORT: got ${reasoningEffort}; it is not sent, since ${summaryModel} takes ${taken || 'no effort that Callbox knows of'}`,
  )
}
