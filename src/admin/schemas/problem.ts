import { z } from 'zod'

const problemField = z
  .object({
    field: z.string().describe('the parameter or the path in the body, such as phone_numbers[0]'),
    detail: z.string().describe('what was sent and what is expected'),
  })
  .meta({ id: 'ProblemField' })

/** RFC 9457, with `errors` as its extension. */
export const problemDetails = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().describe('the words of the status'),
    status: z.int().describe('the status of the answer'),
    detail: z.string().describe('what was wrong, in words'),
    errors: z.array(problemField).optional().describe('each field of the request that was wrong, 20 at most'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457.' })

export type ProblemField = z.infer<typeof problemField>
export type ProblemDetails = z.infer<typeof problemDetails>
