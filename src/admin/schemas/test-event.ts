import { z } from 'zod'
import { direction } from './common.ts'
import { delivery } from './delivery.ts'

export const testEventOrder = z.strictObject({ direction }).meta({ id: 'TestEventOrder' })

export const testEvent = delivery
  .extend({
    remark: z
      .string()
      .nullable()
      .describe(
        'why it will not be tried, or not at once; null: it is tried now, and GET of the delivery tells the answer',
      ),
  })
  .meta({ id: 'EnqueuedTestEvent' })

export type TestEventAnswer = z.infer<typeof testEvent>
