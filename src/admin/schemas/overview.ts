import { z } from 'zod'
import { modelUses } from '../../models/model-checks.ts'
import { time } from './common.ts'
import { route } from './route.ts'

const step = z.enum(['audio', 'transcript', 'summary', 'extraction', 'completion'])

const finding = z
  .object({
    code: z.enum([
      ...(['no_dispatcher', 'slots_unowned', 'deliveries_late', 'deliveries_failed', 'routes_failing'] as const),
      ...(['routes_parked', 'recordings_wait', 'calls_retried', 'calls_failed', 'callbacks_unmatched'] as const),
      ...(['model_unknown', 'model_shuts_down', 'pipeline_paused'] as const),
    ]),
    severity: z.enum(['trouble', 'warning']).describe('trouble: now; warning: in the morning is soon enough'),
    detail: z.string().describe('what it is, in words'),
  })
  .meta({ id: 'Finding' })

const routeInTrouble = route
  .omit({ recent_attempts: true, success_rate: true, p95_ms: true })
  .meta({ id: 'RouteInTrouble' })

const dispatcher = z
  .object({
    id: z.guid(),
    host: z.string(),
    started_at: time,
    slots: z.int().describe('how many of the 64 it owns'),
    alive: z.boolean().describe('whether its beat has moved within the last 3 seconds'),
    leaving: z.boolean().describe('it has been told to stop and works off what it began'),
  })
  .meta({ id: 'Dispatcher' })

const model = z
  .object({
    use: z.enum(modelUses),
    model: z.string(),
    known: z.boolean().nullable().describe('whether the service has it; null: the service does not say'),
    shutdown_date: z.iso.date().nullable().describe('the day on which it shuts down; null: none is known'),
    checked_at: time,
  })
  .meta({ id: 'ModelInUse' })

/** How everything is, at a glance. */
export const overview = z
  .object({
    read_at: time,
    verdict: z.enum(['all_right', 'look', 'trouble']).describe('the worst of the findings'),
    findings: z.array(finding).describe('what needs somebody, the worst first'),
    deliveries: z.object({
      due: z.int().describe('due now, on routes that are not parked; counted to 100000'),
      oldest_due_seconds: z.number().describe('how long the one that is due the longest has been so; 0: none is due'),
      delivered_last_hour: z.int().describe('of the events enqueued within the last hour'),
      failed_last_hour: z.int().describe('given up within the last hour'),
      last_hour_is_whole: z.boolean().describe('false: the counts cover only the newest 100000 events'),
    }),
    routes: z.object({
      active: z.int(),
      failing: z.int(),
      parked: z.int(),
      in_trouble: z.array(routeInTrouble).describe('failing or parked, at most 20, the latest first'),
    }),
    dispatchers: z.array(dispatcher),
    slots_unowned: z.int().describe('slots that no living dispatcher owns'),
    pipeline: z.object({
      calls: z
        .object({ open: z.int(), queued: z.int(), processing: z.int(), failed: z.int() })
        .describe('each counted to 10000; open ones of the last day'),
      jobs: z
        .object({ due: z.int(), later: z.int(), active: z.int() })
        .describe('of the recording queue: to be taken now, later, or taken; each counted to 10000'),
      paused: z
        .array(
          z.object({
            step: z
              .enum(['audio', 'transcript', 'summary', 'extraction'])
              .nullable()
              .describe('null: all steps that ask the model service'),
            error: z.string().describe('what the calls wait for, and what to do'),
            since: time,
            until: time.nullable().describe('when calls continue; null: once it is corrected'),
          }),
        )
        .describe('services that reject every request or asked for a pause, so that calls wait'),
      oldest_due_job_seconds: z.number().describe('how long the longest has waited for a worker; 0: none waits'),
      steps: z
        .array(
          z.object({
            step,
            running: z.int().describe('calls that are at this step'),
            retried: z.int().describe('those of them whose last try failed'),
            failed: z.int().describe('calls that failed in this step within a day'),
            last_error: z.string().nullable(),
          }),
        )
        .describe('of the newest 1000 calls that are processed and that failed'),
    }),
    models: z.array(model).describe('what the model service last said about the models that the workers use'),
    callbacks_unmatched: z.int().describe('counted to 100000'),
    requeues_running: z.int(),
  })
  .meta({ id: 'Overview', description: 'How everything is, at a glance.' })

export type Overview = z.infer<typeof overview>
export type OverviewFinding = z.infer<typeof finding>
export type OverviewStep = Overview['pipeline']['steps'][number]
