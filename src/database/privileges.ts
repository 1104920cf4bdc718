import type { Knex } from 'knex'

/** Tables that the roles write to and this user may not; those of `migrate` are read alone. */
const findMissingPrivilege = `
  select n.nspname || '.' || c.relname as "table", p.privilege
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join unnest(array['select', 'insert', 'update', 'delete']) as p (privilege)
  where c.relkind in ('r', 'p') and c.relname not like 'callbox\\_migrations%'
    and c.relnamespace in (select relnamespace from pg_catalog.pg_class
                           where oid in (to_regclass('callbox.callbox_migrations'), to_regclass('callbox_jobs.job')))
    and not pg_catalog.has_table_privilege(c.oid, p.privilege)
  order by 1, 2
  limit 1`

/** `null` when the user may do what the roles do; else a sentence that says what is missing. */
export async function missingPrivileges(knex: Knex): Promise<string | null> {
  const { rows } = await knex.raw<{ rows: { table: string; privilege: string }[] }>(findMissingPrivilege)
  const [row] = rows
  if (row === undefined) return null
  return (
    `the user of the database lacks a privilege: it may not ${row.privilege} in ${row.table}; use the role that ran ` +
    'migrate, or grant it select, insert, update and delete on the tables of Callbox'
  )
}
