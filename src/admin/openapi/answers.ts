import { z } from 'zod'
import type { ZodOpenApiResponseObject } from 'zod-openapi'
import { problemDetails } from '../schemas/problem.ts'

const retryAfter = z.string().meta({
  description: 'seconds to wait',
  examples: ['1'],
  header: { id: 'RetryAfter' },
})

const challenge = z.string().meta({
  description: 'RFC 6750',
  examples: ['Bearer realm="callbox", error="invalid_token"'],
  header: { id: 'WwwAuthenticate' },
})

export const json = (description: string, schema: z.ZodType): ZodOpenApiResponseObject => ({
  description,
  content: { 'application/json': { schema } },
})

export const problem = (description: string): ZodOpenApiResponseObject => ({
  description,
  content: { 'application/problem+json': { schema: problemDetails } },
})

const unavailable: ZodOpenApiResponseObject = {
  id: 'Unavailable',
  ...problem('The database does not answer, or this process has just started; try again.'),
  headers: z.object({ 'Retry-After': retryAfter.optional() }),
}

/** What any operation of the admin API can answer before it does anything. */
const any = {
  401: {
    id: 'Unauthorized',
    ...problem('No bearer token was sent, or one that is not known.'),
    headers: z.object({ 'WWW-Authenticate': challenge }),
  },
  429: {
    id: 'TooManySignIns',
    ...problem('Ten wrong tokens came from this address within a minute, which is refused until that minute is over.'),
    headers: z.object({ 'Retry-After': retryAfter }),
  },
  500: { id: 'Unexpected', ...problem('A fault of Callbox; its log says more.') },
  503: unavailable,
} satisfies Record<number, ZodOpenApiResponseObject>

const badRequest: ZodOpenApiResponseObject = {
  id: 'BadRequest',
  description: 'Something in the request is not what it takes. `errors` names each field that is wrong.',
  content: {
    'application/problem+json': {
      schema: problemDetails,
      example: {
        type: 'about:blank',
        title: 'Bad Request',
        status: 400,
        detail: 'limit: got "500"; expected a whole number from 1 to 200',
        errors: [{ field: 'limit', detail: 'got "500"; expected a whole number from 1 to 200' }],
      },
    },
  },
}

/** The refusals of what takes no parameter. */
export const plainRefusals = any

/** The refusals of what reads. */
export const readRefusals = { ...any, 400: badRequest }

/** The refusals of what changes something: it may come with a body. */
export const changeRefusals = {
  ...readRefusals,
  413: { id: 'TooLarge', ...problem('The body is over 256 KB.') },
  415: {
    id: 'UnsupportedMediaType',
    ...problem('The body is not called `application/json`, or has an encoding or character set that is not supported.'),
  },
} satisfies Record<number, ZodOpenApiResponseObject>

/** For the callbacks of Twilio, which are told when to come again. */
export const comeAgain: ZodOpenApiResponseObject = {
  id: 'NotStored',
  ...problem('The callback could not be stored; send it again.'),
  headers: z.object({ 'Retry-After': retryAfter }),
}
