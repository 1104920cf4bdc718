import { DatabaseError } from 'pg-protocol'
import { expect, test } from 'vitest'
import { isDatabaseAway } from '../src/database/away.ts'
import { isDataException, NoConnection } from '../src/database/errors.ts'
import { describeTrouble } from '../src/database/unusable.ts'

/** An error from `pg` of a server whose `lc_messages` is not English. */
function said(code: string, severity: string, message: string): Error {
  return Object.assign(new DatabaseError(message, message.length, 'error'), { code, severity })
}

test.each([
  ['57P01', 'ВАЖНО', 'закрытие подключения по команде администратора'],
  ['57P03', 'FATAL', 'die Datenbank startet'],
  ['53300', '致命错误', '对不起, 已经有太多的客户'],
  ['08006', 'FATAL', 'Verbindung verloren'],
  ['25006', 'FEHLER', 'kann INSERT nicht in einer Read-Only-Transaktion ausführen'],
  ['40001', 'FEHLER', 'konnte Zugriff nicht serialisieren'],
])('SQLSTATE %s means that the database is away, in whatever language it is said', (code, severity, message) => {
  expect(isDatabaseAway(said(code, severity, message))).toBe(true)
})

test.each(['22021', '22P05', '22003', '23505', '42601', '42501'])('SQLSTATE %s does not', (code) => {
  expect(isDatabaseAway(said(code, 'FATAL', 'Fehler'))).toBe(false)
})

test('whatever keeps a connection from being made means that the database is away', () => {
  for (const [code, what] of [
    ['28P01', 'the database refuses the user or the password'],
    ['55000', 'the database accepts no connections'],
    ['53300', 'the server has no free connection slot'],
    ['57P03', 'the server is starting, stopping or recovering'],
  ] as const) {
    const error = new NoConnection(said(code, 'ВАЖНО', 'нет'))
    expect(isDatabaseAway(error)).toBe(true)
    expect(describeTrouble(error)).toContain(what)
  }
})

test('class 22 is a data exception, and only class 22', () => {
  expect(isDataException(said('22021', 'FEHLER', 'ungültige Byte-Sequenz'))).toBe(true)
  expect(isDataException(said('23505', 'FEHLER', 'doppelt'))).toBe(false)
  expect(isDataException(new Error('22021'))).toBe(false)
})
