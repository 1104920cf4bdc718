import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { businessId, listOf, pageLimit, storableText, time } from './common.ts'
import { customHeaders, customHeadersTakes } from './custom-headers.ts'
import { endpointUrl, endpointUrlTakes } from './endpoint-url.ts'
import { signingSecret, signingSecretTakes } from './signing-secret.ts'

const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' })

/** What one webhook of Zapier takes before it answers 429. */
const zapierPerSecond = 30

/** E.164: a plus, a country code and up to 15 digits in all. */
const phoneNumber = z.string().regex(/^\+[1-9]\d{6,14}$/)

const distinct = (texts: string[]): boolean => new Set(texts).size === texts.length

const optionalUrl = endpointUrl.nullable().optional().describe(endpointUrlTakes)

/** What a PUT may change; a field that is not named stays, `null` clears it. */
export const businessChange = z.strictObject({
  name: storableText(200).nullable().optional().describe('a text of at most 200 characters, or null for none'),
  phone_numbers: z
    .array(phoneNumber)
    .max(1_000)
    .refine(distinct)
    .nullable()
    .optional()
    .describe('a list of at most 1000 phone numbers in E.164, such as +972501234567, none of them twice, or null'),
  inbound_webhook_url: optionalUrl,
  outbound_webhook_url: optionalUrl,
  generic_webhook_url: optionalUrl,
  headers: customHeaders.nullable().optional().describe(customHeadersTakes),
  signing_secret: signingSecret.nullable().optional().describe(signingSecretTakes),
  language: z
    .string()
    .refine((text) => text === '' || (/^[a-z]{2}$/.test(text) && languageNames.of(text) !== undefined))
    .nullable()
    .optional()
    .describe('two letters of ISO 639-1 in lower case, such as he, or null: the transcription finds out'),
  service_categories: z
    .array(storableText(100).refine((text) => text.trim() === text && text !== ''))
    .max(100)
    .refine(distinct)
    .nullable()
    .optional()
    .describe(
      'a list of at most 100 different texts of 1 to 100 characters without spaces at their ends, or null for none',
    ),
  max_concurrency: z
    .int()
    .min(1)
    .max(10_000)
    .nullable()
    .optional()
    .describe('a whole number from 1 to 10000, or null for the default'),
  rate_per_second: z
    .union([z.number().min(0.001).max(10_000), z.literal('zapier').transform(() => zapierPerSecond)])
    .nullable()
    .optional()
    .describe('a number from 0.001 to 10000, zapier for 30, or null for no limit'),
})

export const businessPath = z.object({ business_id: businessId })

export const businessListQuery = z.strictObject({ limit: pageLimit, cursor: timeCursor(businessId) })

export const business = z.object({
  business_id: businessId,
  name: z.string(),
  phone_numbers: z.array(z.string()),
  inbound_webhook_url: z.string().nullable(),
  outbound_webhook_url: z.string().nullable(),
  generic_webhook_url: z.string().nullable(),
  header_names: z
    .array(z.string())
    .nullable()
    .describe('the names of headers; their values are never shown; null when they cannot be decrypted'),
  language: z.string(),
  service_categories: z.array(z.string()),
  max_concurrency: z.int().nullable(),
  rate_per_second: z.number().nullable(),
  previous_secret_until: time
    .nullable()
    .describe('until when the former signing secret signs too; null: there is none'),
  created_at: time,
  updated_at: time,
})

export const changedBusiness = business.extend({
  signing_secret: z.string().optional().describe('shown in the answer that made it, and never again'),
  skipped_deliveries_that_fit: z
    .object({ inbound: z.int(), outbound: z.int() })
    .describe(
      'deliveries of this business that were skipped and that the URL which this change set would take, when requeued; ' +
        'counted to 10000 for each direction',
    ),
})

export const businessList = listOf(business)

export type BusinessChange = z.infer<typeof businessChange>
export type Business = z.infer<typeof business>
export type ChangedBusiness = z.infer<typeof changedBusiness>
