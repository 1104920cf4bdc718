import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { Child } from '../harness/child.ts'
import type { CommitMethods, CommittedBy } from '../harness/commits-process.ts'
import { perSecond } from '../harness/progress.ts'
import { withDatabase } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

/** The two take short turns in one table: commits become slower as it grows. */
const turns: CommittedBy[] = ['insert', 'enqueue', 'enqueue', 'insert', 'insert', 'enqueue', 'enqueue', 'insert']

type Rates = Record<CommittedBy, number>

/** What the one way into the outbox costs those who take it. */
export async function measureProducers(bench: Bench): Promise<Figure[]> {
  const show = ({ insert, enqueue }: Rates) => `insert ${perSecond(insert)}, callbox_enqueue ${perSecond(enqueue)}`
  const { both } = await alternate(bench, 'producers', { both: () => takeTurns(bench) }, show)
  const rates = (by: CommittedBy) => both.map((round) => round[by])
  return [
    { title: 'bare inserts from 16 connections', unit: '/s', goal: null, values: rates('insert') },
    {
      title: 'callbox_enqueue from 16 connections / bare insert',
      unit: '×',
      goal: { is: 'at least', value: 0.85 },
      values: ratios(rates('enqueue'), rates('insert')),
    },
  ]
}

function takeTurns(bench: Bench): Promise<Rates> {
  const seconds = bench.quick ? 0.5 : 1.5
  return withDatabase(bench, async (database) => {
    await putBusinesses(database, businesses, 'http://127.0.0.1:9')
    const child = new Child<CommitMethods>('harness/commits-process.ts')
    try {
      const rates: Rates = { insert: 0, enqueue: 0 }
      for (const by of turns) {
        const rate = await child.call('commit', { databaseUrl: database.url, businesses, by, seconds })
        rates[by] += rate / (turns.length / 2)
      }
      return rates
    } finally {
      await child.stop()
    }
  })
}
