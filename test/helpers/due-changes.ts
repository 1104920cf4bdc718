import type { TestDatabase } from './database.ts'

/** Records each due row that is inserted or updated from now on; what is rolled back is not recorded. */
export async function watchDueRows({ pool }: TestDatabase): Promise<void> {
  await pool.query(`
    create table public.due_changes (id uuid);
    create function public.record_due_change() returns trigger language plpgsql as $$
    begin
      insert into public.due_changes values (new.id);
      return null;
    end
    $$;
    create trigger record_due_change after insert or update on callbox.webhook_due
    for each row execute function public.record_due_change()`)
}

/** Forgets what was recorded, so that only later changes count. */
export const forgetDueChanges = ({ pool }: TestDatabase) => pool.query('truncate public.due_changes')

/** How many deliveries were made due or hastened, by how often. */
export async function dueChanges({ pool }: TestDatabase): Promise<Record<number, number>> {
  const { rows } = await pool.query<{ times: number; deliveries: number }>(
    `select times, count(*)::int as deliveries
     from (select count(*)::int as times from public.due_changes group by id) each
     group by times`,
  )
  return Object.fromEntries(rows.map(({ times, deliveries }) => [times, deliveries]))
}

/** CallSids of the deliveries that were made due or hastened, sorted. */
export async function callsMadeDue({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ call_sid: string }>(
    'select distinct call_sid from public.due_changes join callbox.webhook_outbox using (id) order by call_sid',
  )
  return rows.map((row) => row.call_sid)
}
