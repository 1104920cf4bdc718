import { z } from 'zod'
import { isLanguage } from '../../businesses/languages.ts'
import { timeCursor } from '../paging.ts'
import { businessId, listOf, pageLimit, storableText, time } from './common.ts'
import { customHeaders, customHeadersTakes } from './custom-headers.ts'
import { endpointUrl, endpointUrlTakes } from './endpoint-url.ts'
import { exampleOf } from './examples.ts'
import { signingSecret, signingSecretTakes } from './signing-secret.ts'

/** What one webhook of Zapier takes before it answers 429. */
const zapierPerSecond = 30

/** E.164: a plus, a country code and up to 15 digits in all. */
const phoneNumber = z
  .string()
  .regex(/^\+[1-9]\d{6,14}$/)
  .meta({ examples: [exampleOf.phoneNumber] })

const distinct = (texts: string[]): boolean => new Set(texts).size === texts.length

const optionalUrl = endpointUrl.nullable().optional().describe(endpointUrlTakes)

/** What a PUT may change; a field that is not named stays, `null` clears it. */
export const businessChange = z
  .strictObject({
    name: storableText(200)
      .meta({ examples: ['Ten Realty'] })
      .nullable()
      .optional()
      .describe('a text of at most 200 characters, or null for none'),
    phone_numbers: z
      .array(phoneNumber)
      .max(1_000)
      .refine(distinct)
      .meta({ uniqueItems: true })
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
      .regex(/^(?:[a-z]{2})?$/, { abort: true })
      .refine((text) => text === '' || isLanguage(text))
      .meta({ examples: ['he'] })
      .nullable()
      .optional()
      .describe('two letters of ISO 639-1 in lower case, such as he, or null: the transcription finds out'),
    service_categories: z
      .array(storableText(100).refine((text) => text.trim() === text && text !== ''))
      .max(100)
      .refine(distinct)
      .meta({ uniqueItems: true, examples: [['sale', 'rent']] })
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
  .meta({ id: 'BusinessChange' })

export const businessPath = z.object({ business_id: businessId })

export const businessListQuery = z.strictObject({ limit: pageLimit, cursor: timeCursor(businessId) })

const url = (description: string) =>
  z
    .string()
    .nullable()
    .meta({ description, examples: [exampleOf.url] })

export const business = z
  .object({
    business_id: businessId,
    name: z.string().meta({ examples: ['Ten Realty'] }),
    phone_numbers: z.array(phoneNumber).describe('calls to and from these belong to the business'),
    inbound_webhook_url: url('where events of inbound calls go'),
    outbound_webhook_url: url('where events of outbound calls go; null: nowhere, they are skipped'),
    generic_webhook_url: url('where events of inbound calls go without an inbound_webhook_url'),
    header_names: z
      .array(z.string())
      .nullable()
      .describe('the names of headers; their values are never shown; null when they cannot be decrypted'),
    language: z.string().meta({ description: "ISO 639-1; '': the transcription finds out", examples: ['he'] }),
    language_rejected: z
      .boolean()
      .describe('whether the transcription service rejected this language: calls are transcribed without it'),
    service_categories: z.array(z.string()).meta({ examples: [['sale', 'rent']] }),
    max_concurrency: z.int().nullable().describe('POSTs at a time for each direction; null: the default'),
    rate_per_second: z.number().nullable().describe('POSTs a second for each direction; null: no limit'),
    previous_secret_until: time
      .nullable()
      .describe('until when the former signing secret signs too; null: there is none'),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Business' })

export const changedBusiness = business
  .extend({
    signing_secret: z.string().optional().describe('shown in the answer that made it, and never again'),
    skipped_deliveries_that_fit: z
      .object({ inbound: z.int(), outbound: z.int() })
      .describe(
        'deliveries of this business that were skipped and that the URL which this change set would take, when requeued; ' +
          'counted to 10000 for each direction',
      ),
  })
  .meta({ id: 'ChangedBusiness' })

export const businessList = listOf(business).meta({ id: 'BusinessList' })

export type BusinessChange = z.infer<typeof businessChange>
export type Business = z.infer<typeof business>
export type ChangedBusiness = z.infer<typeof changedBusiness>
