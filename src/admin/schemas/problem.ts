import { z } from 'zod'

const problemField = z.object({
  field: z.string().describe('the parameter or the path in the body, such as phone_numbers[0]'),
  detail: z.string().describe('what it got and what it takes'),
})

/** RFC 9457, with `errors` as its extension. */
export const problemDetails = z.object({
  type: z.literal('about:blank'),
  title: z.string().describe('the words of the status'),
  status: z.int(),
  detail: z.string(),
  errors: z.array(problemField).optional(),
})

export type ProblemField = z.infer<typeof problemField>
export type ProblemDetails = z.infer<typeof problemDetails>
