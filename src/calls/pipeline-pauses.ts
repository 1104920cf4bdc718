import type { Knex } from 'knex'

/** The steps that a service can refuse whatever the call. */
export type RefusableStep = 'audio' | 'transcript' | 'summary' | 'extraction'

/** What calls wait for; times are ISO 8601 in UTC. */
export interface PipelinePause {
  /** `null`: all steps that ask the model service. */
  step: RefusableStep | null
  error: string
  since: string
  /** When it ends; `null`: when it is set right. */
  until: string | null
}

/** A pause that other workers have seen before keeps its beginning. */
const savePause = `
  insert into callbox.pipeline_pauses (step, error) values (?, ?)
  on conflict (step) do update set error = excluded.error, refused_at = clock_timestamp()`

export async function savePipelinePause(knex: Knex, step: RefusableStep, error: string): Promise<void> {
  await knex.raw(savePause, [step, error])
}

/** Refusals of requests that are later than the answered one stay. */
const endPause = `
  delete from callbox.pipeline_pauses where step = ? and refused_at < clock_timestamp() - ? * interval '1 ms'`

/** @param answeredAgoMs how long ago the answered request began, in milliseconds. */
export async function endPipelinePause(knex: Knex, step: RefusableStep, answeredAgoMs: number): Promise<void> {
  await knex.raw(endPause, [step, answeredAgoMs])
}

const readPauses = `
  select step, error,
    to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as since, null as until
  from callbox.pipeline_pauses
  union all
  select null, 'the model service limits its rate: no request is sent to it for as long as it asked',
    to_char(min(held_since) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    to_char(max(held_until) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  from callbox.model_service_holds
  where held_until > clock_timestamp()
  having count(*) > 0
  order by since`

/** The earliest first. */
export async function readPipelinePauses(knex: Knex): Promise<PipelinePause[]> {
  const { rows } = await knex.raw<{ rows: PipelinePause[] }>(readPauses)
  return rows
}
