/** `npm run bench -- [names] [--quick] [--rounds n] [--profile directory]`; see README.md. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { figures } from './figures.ts'
import type { Bench } from './harness/bench.ts'
import { describeMachine, showMachine } from './harness/machine.ts'
import { Progress } from './harness/progress.ts'
import { Receiver } from './harness/receiver.ts'
import { BenchServer } from './harness/server.ts'
import { type Line, lineOf, printTable } from './harness/table.ts'

const usage = `npm run bench -- [names] [--quick] [--rounds 3] [--profile directory]

${Object.entries(figures)
  .map(([name, { measures, isLong }]) => `  ${name.padEnd(17)} ${measures}${isLong ? ' (takes minutes)' : ''}`)
  .join('\n')}

Without names all of them run; with --quick not those that take minutes.
`
const results = new URL('./results/', import.meta.url)

function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${usage}`)
  process.exit(2)
}

const { values, positionals } = readArguments()
if (values.help === true || values.version === true) {
  process.stdout.write(values.help === true ? usage : `${manifest.version}\n`)
  process.exit()
}
const quick = values.quick === true
const rounds = Number(values.rounds ?? (quick ? 1 : 3))
const allNames = Object.keys(figures).filter((name) => !(quick && figures[name]?.isLong))
const chosen = positionals.length === 0 ? allNames : positionals
if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 100)) {
  refuse(`--rounds: got ${values.rounds}; expected a whole number from 1 to 100`)
}
const unknown = chosen.find((name) => !Object.hasOwn(figures, name))
if (unknown !== undefined) refuse(`got ${JSON.stringify(unknown)}; expected names of rows`)

const startedAt = new Date()
const lines: Line[] = []
const server = await BenchServer.start(values.profile ?? null)
const receiver = new Receiver()
const stop = async (): Promise<void> => {
  await receiver.stop()
  await server.stop()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stop().finally(() => process.exit(1)))
}
try {
  const bench: Bench = {
    server,
    receiver,
    progress: new Progress(),
    rounds,
    quick,
    maxima: [],
    profileInto: values.profile ?? null,
  }
  for (const name of chosen) {
    const measured = await figures[name]?.measure(bench)
    lines.push(...(measured ?? []).map(lineOf))
  }
  const machine = { ...describeMachine(), postgresql: await server.version() }
  const report = { startedAt, chosen, quick, rounds, machine, figures: lines }
  mkdirSync(results, { recursive: true })
  const file = new URL(`${startedAt.toISOString().slice(0, 19).replaceAll(':', '')}.json`, results)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`\n${printTable(lines)}\n\n${showMachine(machine)}\n${fileURLToPath(file)}\n`)
} finally {
  await stop()
}
if (lines.some(({ met }) => met === false)) process.exitCode = 1

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        profile: { type: 'string' },
      },
    })
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}
