// Receives Callbox's webhooks: checks each signature, drops repeats, acts on completed calls.
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { Webhook } from 'standardwebhooks'

const { CALLBOX_SECRET, DATABASE = 'calls.sqlite', PORT = '3000' } = process.env
const webhook = new Webhook(CALLBOX_SECRET ?? '')
const largestBody = 2 * 1024 * 1024

const database = new DatabaseSync(DATABASE)
database.exec(`
  pragma journal_mode = wal;
  create table if not exists deliveries (webhook_id text primary key, received_at text default current_timestamp);
  create table if not exists calls (call_id text primary key not null, city text, phone text, summary text)`)
const remember = database.prepare('insert into deliveries (webhook_id) values (?) on conflict do nothing')
const addCall = database.prepare('insert into calls (call_id, city, phone, summary) values (?, ?, ?, ?)')

// YOURS: what a call means to you. It runs in the transaction that remembers the delivery, so both happen or neither.
// Write to this database only. What goes elsewhere (a CRM, an e-mail) is slow and cannot be rolled back: write it down
// here as work to do, and do it after the answer.
function handle(event) {
  // New kinds of events may come, and a test event when somebody presses that button: take them and do nothing.
  if (event.event_type !== 'call.completed') return
  addCall.run(event.call_id, event.city, event.phone, event.summary)
}

/** Handles an event once, however often it is delivered. @returns whether it was new. */
function handleOnce(id, event) {
  database.exec('begin immediate')
  try {
    const isNew = remember.run(id).changes === 1
    if (isNew) handle(event)
    database.exec('commit')
    return isNew
  } catch (error) {
    database.exec('rollback')
    throw error
  }
}

/** The bytes as they came: the signature is over them, and JSON that was parsed and written again has others. */
async function readBody(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > largestBody) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function answer(request) {
  // Never 410 (Gone) for such things: it tells Callbox to stop sending until somebody switches it on again.
  if (request.method !== 'POST' || request.url !== '/calls') return 404
  const body = await readBody(request)
  if (body === null) return 413
  let event
  try {
    // Also refuses timestamps more than 5 minutes off, and takes either signature while the secret is being replaced.
    event = webhook.verify(body, request.headers)
  } catch {
    return 401
  }
  const id = request.headers['webhook-id']
  const isNew = handleOnce(id, event)
  process.stdout.write(`${id} ${isNew ? 'handled' : 'seen before'}\n`)
  return 204
}

const server = createServer(async (request, response) => {
  // An error of ours is 500: Callbox sends it again, by its schedule.
  const status = await answer(request).catch((error) => {
    process.stderr.write(`${error.stack}\n`)
    return 500
  })
  response.writeHead(status).end()
})
server.listen(Number(PORT), () => process.stdout.write(`listening on ${server.address().port}\n`))
