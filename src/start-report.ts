import type { Role } from './config.ts'
import type { Service } from './service.ts'
import type { Logger } from './telemetry/logger.ts'

/** Tells the person who started it where it is and what it cannot do yet. */
export function sayWhatIsMissing(service: Service, chosen: readonly Role[], log: Logger): void {
  const { config } = service
  const lack = (setting: string, meaning: string): void => {
    log.warn({ event: 'service.lacks', setting }, `no ${setting}: ${meaning}`)
  }
  if (chosen.includes('api')) {
    log.info(
      { event: 'service.address', url: config.publicUrl },
      `Twilio's callbacks go to ${config.publicUrl}/webhook/…`,
    )
    if (config.databaseUrl === null) {
      const home = `${config.home}/secrets.json`
      log.info({ event: 'service.embedded', home }, `embedded PostgreSQL; the admin token is in ${home}`)
    }
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
  }
}
