import type { Knex } from 'knex'
import type { Logger } from '../telemetry/logger.ts'

const noteRejection = `
  update callbox.businesses set rejected_language = ? where business_id = ? and rejected_language <> ?`

/**
 * Reports once for each business, across all processes, that its language is not used as a hint. If that cannot be
 * stored, the next call tries again: this one's transcript has been paid for.
 *
 * @param language `''`: it is used again.
 */
export async function noteRejectedLanguage(
  knex: Knex,
  log: Logger,
  businessId: string,
  language: string,
): Promise<void> {
  try {
    const noted = await knex.raw<{ rowCount: number }>(noteRejection, [language, businessId, language])
    if (noted.rowCount === 0 || language === '') return
    log.warn(
      { event: 'language.rejected', business_id: businessId, language },
      `the transcription service rejects the language ${language} of business ${businessId}: its calls are transcribed without it`,
    )
  } catch (err) {
    log.warn({ event: 'language.not_noted', business_id: businessId, err }, 'a rejected language could not be stored')
  }
}
