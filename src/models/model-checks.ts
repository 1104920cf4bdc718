import type { Knex } from 'knex'

/** What a model is used for. */
export const modelUses = ['transcribe', 'summary'] as const
export type ModelUse = (typeof modelUses)[number]

/** The setting that names the model. */
export const modelSettings: Record<ModelUse, string> = {
  transcribe: 'OPENAI_TRANSCRIBE_MODEL',
  summary: 'OPENAI_SUMMARY_MODEL',
}

export interface ModelCheck {
  use: ModelUse
  model: string
  /** Whether the service has the model; `null`: it does not say. */
  known: boolean | null
  /** The day on which it shuts down (UTC), as `YYYY-MM-DD`; `null`: not announced, or the service does not say. */
  shutdownDate: string | null
}

/** A shutdown is announced to operators from this many days before it on. */
export const noticeDays = 60

const dayMs = 86_400_000

/** Whole days until the model shuts down, 0 or less once it has; `null`: that is not known, or later than {@link noticeDays}. */
export function daysLeft({ shutdownDate }: Pick<ModelCheck, 'shutdownDate'>, now: Date): number | null {
  if (shutdownDate === null) return null
  const days = Math.ceil((Date.parse(shutdownDate) - now.getTime()) / dayMs)
  return days <= noticeDays ? days : null
}

const saveCheck = `
  insert into callbox.model_checks (use, model, known, shutdown_date) values (?, ?, ?, ?::date)
  on conflict (use) do update set
    model = excluded.model, known = excluded.known, shutdown_date = excluded.shutdown_date, checked_at = clock_timestamp()`

export async function saveModelCheck(knex: Knex, check: ModelCheck): Promise<void> {
  await knex.raw(saveCheck, [check.use, check.model, check.known, check.shutdownDate])
}

const forgetOtherModel = 'delete from callbox.model_checks where use = ? and model <> ?'

/** Deletes the check of the model used before this one. */
export async function forgetFormerModel(knex: Knex, use: ModelUse, model: string): Promise<void> {
  await knex.raw(forgetOtherModel, [use, model])
}

const readChecks = `
  select use, model, known, to_char(shutdown_date, 'YYYY-MM-DD') as "shutdownDate",
    to_char(checked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "checkedAt"
  from callbox.model_checks
  order by use desc`

export async function readModelChecks(knex: Knex): Promise<(ModelCheck & { checkedAt: string })[]> {
  const { rows } = await knex.raw<{ rows: (ModelCheck & { checkedAt: string })[] }>(readChecks)
  return rows
}
