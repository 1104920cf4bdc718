import { Writable } from 'node:stream'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { sayWhatIsMissing } from '../src/start-report.ts'

/** What `npm start` says once it runs, with these settings. */
function said(env: Record<string, string>): string[] {
  const lines: string[] = []
  const log = pino(
    {},
    new Writable({
      write(line, _encoding, done) {
        lines.push(JSON.parse(String(line)).msg)
        done()
      },
    }),
  )
  const config = readConfig({ CALLBOX_HOME: '/home/of/callbox', ...env })
  sayWhatIsMissing(
    config,
    { publicUrl: 'http://localhost:8081', adminUrl: 'http://localhost:8081' },
    ['api', 'worker', 'dispatcher'],
    log,
  )
  return lines
}

const generated =
  'the console is at http://localhost:8081/console; sign in with the adminToken in /home/of/callbox/secrets.json'
const given = 'the console is at http://localhost:8081/console; sign in with a token of ADMIN_TOKEN'

test.each([
  ['made by itself', {}, generated],
  ['given', { ADMIN_TOKEN: 'night:a-long-enough-token' }, given],
  [
    'given, beside a database of somebody else',
    { ADMIN_TOKEN: 'a-long-enough-token', DATABASE_URL: 'postgres://callbox@db/callbox' },
    given,
  ],
])('says where the console is and which token to sign in with: %s', (_, env, expected) => {
  const lines = said(env)
  expect(lines).toContain(expected)
  expect(lines.join()).not.toContain('a-long-enough-token')
})
