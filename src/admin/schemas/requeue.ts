import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { listOf, pageLimit, time } from './common.ts'
import { delivery, deliveryFilter } from './delivery.ts'
import { exampleOf } from './examples.ts'

const requeueId = z
  .guid()
  .meta({ examples: [exampleOf.requeueId] })
  .transform((id) => id.toLowerCase())

const state = z.enum(['running', 'stopped', 'done', 'failed'])

const filter = {
  ...deliveryFilter,
  status: deliveryFilter.status.describe(
    'pending, delivered, failed or skipped; without it failed and skipped, so that what was delivered is sent once more ' +
      'only when that is asked for',
  ),
  business_id: deliveryFilter.business_id.describe(
    'a whole number from 1 to 9223372036854775807, which JSON has as a text: "10"',
  ),
}

/** Which deliveries to requeue: the filter of their list, and in place of a page all that match. */
export const requeueOrder = z
  .strictObject({
    ...filter,
    dry_run: z.boolean().optional().describe('true or false; true only counts'),
  })
  .meta({ id: 'RequeueOrder' })

export const requeuePath = z.object({ id: requeueId.describe('a UUID') })

export const requeueListQuery = z.strictObject({
  state: state.optional().describe('running, stopped, done or failed'),
  limit: pageLimit,
  cursor: timeCursor(requeueId),
})

const total = z.int().describe('how many match; estimated above 100000, or if counting takes too long')

export const requeue = z
  .object({
    id: z.guid().meta({ examples: [exampleOf.requeueId] }),
    state: state.describe(
      'running; stopped: by an operator; done; failed: by an error that was not expected. Resume goes on with one that ' +
        'is stopped or failed',
    ),
    operator: z.string().describe('the name of the token that ordered it'),
    filter: z.object(filter).describe('as it was ordered'),
    until: time.describe('deliveries that were enqueued then or later are left out'),
    total: total.describe('how many matched when it was ordered; above 100000 an estimate'),
    total_is_exact: z.boolean(),
    examined: z.int().describe('deliveries looked at so far'),
    matched: z.int().describe('of those, how many matched'),
    requeued: z.int().describe('made due, with the same id and bytes; a parked route or a limit still holds them back'),
    already_due: z.int().describe('pending and due, so left alone'),
    payload_gone: z.int().describe('without the payload, which retention has taken'),
    created_at: time,
    finished_at: time.nullable(),
    error: z.string().nullable().describe('why it failed'),
  })
  .meta({ id: 'Requeue', description: 'A bulk requeue and how far it has come.' })

export const requeueDryRun = z
  .object({
    dry_run: z.literal(true),
    total,
    total_is_exact: z.boolean(),
    examples: z.array(delivery).describe('the oldest few that match'),
  })
  .meta({ id: 'RequeueDryRun' })

export const requeueList = listOf(requeue).meta({ id: 'RequeueList' })

export type RequeueOrder = z.infer<typeof requeueOrder>
export type RequeueListQuery = z.infer<typeof requeueListQuery>
export type RequeueFilter = Omit<RequeueOrder, 'dry_run'>
export type RequeueAnswer = z.infer<typeof requeue>
export type RequeueDryRun = z.infer<typeof requeueDryRun>
