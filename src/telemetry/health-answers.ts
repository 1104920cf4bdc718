import { z } from 'zod'

export const aliveAnswer = z.object({ status: z.literal('alive') })
export const readyAnswer = z.object({ status: z.literal('ready') })
export const notReadyAnswer = z.object({
  status: z.literal('not ready'),
  reasons: z.array(z.string()).meta({ description: 'what is missing', examples: [['starting: api']] }),
})

export type AliveAnswer = z.infer<typeof aliveAnswer>
export type ReadinessAnswer = z.infer<typeof readyAnswer> | z.infer<typeof notReadyAnswer>
