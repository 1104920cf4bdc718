/** `npm run chaos`: what is promised, while everything around it breaks. See `test/README.md`. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import manifest from '../../package.json' with { type: 'json' }
import { type Check, judge } from './judge.ts'
import { makePlan } from './plan.ts'
import { planLines, tables } from './report.ts'
import { run } from './run.ts'

const usage = `npm run chaos -- [--minutes 10] [--seed 1] [--judge all|ledger]

  --minutes  how long faults go on, from 0.5 to 120; draining comes on top
  --seed     a whole number; the same one makes the same plan
  --judge    ledger: only what was lost, repeated or changed; all (default): the times of hand-overs as well
`

const dispatchers = 3
const window = 64
const rate = 120

const schema = z.object({
  minutes: z.coerce.number().min(0.5).max(120).default(10),
  seed: z.coerce.number().int().min(0).max(4_294_967_295).optional(),
  judge: z.enum(['all', 'ledger']).default('all'),
})

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const commandLine = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  minutes: { type: 'string' },
  seed: { type: 'string' },
  judge: { type: 'string' },
} as const

/** The exit code where there is nothing to run. */
function readOptions(): z.infer<typeof schema> | number {
  try {
    const { help, version, ...values } = parseArgs({ options: commandLine }).values
    if (!help && !version) return schema.parse(values)
    process.stdout.write(help ? usage : `${manifest.version}\n`)
    return 0
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    process.stderr.write(`${reason}\n\n${usage}`)
    return 2
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  if (typeof options === 'number') return options
  const seed = options.seed ?? Math.floor(Math.random() * 4_294_967_296)
  say(`seed ${seed}, ${options.minutes} min, ${dispatchers} dispatchers with a window of ${window}, ${rate} events/s`)
  const plan = makePlan(seed, options.minutes, dispatchers)
  for (const line of planLines(plan)) say(line)
  say('')
  const result = await run({ plan, seed, dispatchers, window, rate, say })
  if (result.clockSkipped)
    say('the wall clock was left alone: libfaketime is not installed (apt-get install libfaketime)')
  const verdict = judge(result.evidence)
  const judged = (check: Check): boolean => options.judge === 'all' || !check.ofTime
  for (const line of tables(result.evidence, verdict, judged)) say(line)
  for (const complaint of result.complaints) say(`complaint: ${complaint}`)
  const chosen = verdict.checks.filter(judged)
  const failed = chosen.filter(({ passed }) => !passed).length + (result.complaints.length > 0 ? 1 : 0)
  say('')
  say(`chaos: ${chosen.length + 1 - failed} passed, ${failed} failed (seed ${seed})`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main()
