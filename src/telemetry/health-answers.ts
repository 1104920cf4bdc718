import { z } from 'zod'

export const aliveAnswer = z.object({ status: z.literal('alive') })

/** Reported by an API that has callbacks on disk, or whose spool is unusable. */
const callbacks = z.object({
  taken: z.boolean().meta({ description: 'whether the database or the disk accepts callbacks now' }),
  waiting: z.int().meta({ description: 'on disk, for the database' }),
  oldest_seconds: z.number().meta({ description: 'how long the oldest of them has waited' }),
  damaged: z.int().meta({ description: 'set aside because they can never be stored' }),
  disk: z
    .string()
    .optional()
    .meta({ description: 'why nothing can be kept on disk', examples: ['ENOSPC'] }),
})

export const readyAnswer = z.object({ status: z.literal('ready'), callbacks: callbacks.optional() })
export const notReadyAnswer = z.object({
  status: z.literal('not ready'),
  reasons: z.array(z.string()).meta({ description: 'what is missing', examples: [['starting: api']] }),
  callbacks: callbacks.optional(),
})

export type CallbacksAnswer = z.infer<typeof callbacks>
export type AliveAnswer = z.infer<typeof aliveAnswer>
export type ReadinessAnswer = z.infer<typeof readyAnswer> | z.infer<typeof notReadyAnswer>
