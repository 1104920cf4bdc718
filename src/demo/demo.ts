import { once, setMaxListeners } from 'node:events'
import { play } from './play.ts'
import { callsOf } from './scenario.ts'
import { bad, bold, dim, facts, good, heading, line, seconds, table } from './screen.ts'
import { type Stage, setStage, usesRealOpenAi } from './stage.ts'
import type { Verdict } from './verdict.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The real transcription may be slow; the stand-in is not. */
const deadlineMs = (): number => (usesRealOpenAi() ? 300_000 : 90_000)

/**
 * Plays a few calls on the real service and shows what becomes of them.
 *
 * @param options.keep leaves all of it running until a signal comes.
 * @returns the exit code: 0 when everything arrived that should, 130 when interrupted before that was known, else 1.
 */
export async function runDemo(options: { keep: boolean }): Promise<number> {
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  let code = 130
  let interrupted = false
  const end = (): void => {
    if (!interrupted) line(dim('\nCleaning up …'))
    interrupted = true
    ending.abort(new Error('interrupted'))
  }
  for (const signal of signals) process.on(signal, end)
  // A terminal that was closed takes no words any more; the rest has to be cleaned up all the same.
  process.stdout.on('error', () => undefined)
  const overdue = AbortSignal.timeout(deadlineMs())

  const cleanup = new AsyncDisposableStack()
  try {
    introduceDemo()
    const calls = callsOf()
    const speeches = calls.map((call) => call.speech)
    const stage = await setStage(speeches, cleanup, AbortSignal.any([ending.signal, overdue]))
    stage.failed.catch((error: unknown) => ending.abort(error))
    const begun = performance.now()
    const verdict = await play(stage, calls, ending.signal, overdue)
    showVerdict(verdict, performance.now() - begun)
    code = verdict.problems.length === 0 ? 0 : 1
    if (options.keep) await stay(stage, ending.signal)
    else line(dim('To look around while it runs: npm run demo -- --keep'))
  } catch (error) {
    if (!interrupted) {
      const reason: unknown = ending.signal.aborted ? ending.signal.reason : error
      line(bad(`\nThe demo failed: ${reason instanceof Error ? reason.message : String(reason)}`))
      code = 1
    }
  } finally {
    await cleanup.disposeAsync()
    for (const signal of signals) process.off(signal, end)
  }
  return code
}

function introduceDemo(): void {
  line(`${bold('Callbox')} turns a finished phone call into a webhook that arrives.`)
  line('A few calls are played on this machine, through the code that runs in production.')
  line('Twilio and the customers’ endpoints are stand-ins that speak the real protocols;')
  line(usesRealOpenAi() ? 'OpenAI is the real one, with your key.' : 'so is OpenAI, unless OPENAI_API_KEY is set.')
  heading('Starting')
}

function showVerdict(verdict: Verdict, ms: number): void {
  heading('The balance, from the receiver’s own ledger and the admin API')
  table([
    ['calls', verdict.calls, ''],
    ['webhooks delivered', verdict.delivered, 'signature and content checked'],
    ['webhooks skipped', verdict.skipped, 'on purpose: no URL for the direction of the call'],
    ['attempts', verdict.attempts, 'POSTs, failed ones included'],
    ['lost', verdict.lost, ''],
    ['duplicates', verdict.duplicates, 'POSTs of a webhook that had been accepted already'],
  ])
  for (const problem of verdict.problems) line(`  ${bad('✗')} ${problem}`)
  if (verdict.problems.length === 0)
    line(`  ${good('✓ Everything arrived')}, ${seconds(ms)} after the first call ended.\n`)
  else line(bad('  Not all is as it should be.\n'))
}

async function stay(stage: Stage, signal: AbortSignal): Promise<void> {
  heading('Still running, until Ctrl-C')
  facts([
    ['console', `${stage.apiUrl}/console`],
    ['API', stage.apiUrl],
    ['admin token', stage.adminToken],
    ['try', `curl -H 'authorization: Bearer ${stage.adminToken}' ${stage.apiUrl}/admin/deliveries`],
    ['metrics', `${stage.apiUrl}/metrics`],
    ['receiver', stage.receiver.url],
    ['database', stage.databaseUrl],
    ['logs', stage.logs],
  ])
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}
