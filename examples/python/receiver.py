"""Receives Callbox's webhooks: checks each signature, drops repeats, acts on completed calls."""

import os
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["CALLBOX_SECRET"])
DATABASE = os.environ.get("DATABASE", "calls.sqlite")
PORT = int(os.environ.get("PORT", "3000"))
LARGEST_BODY = 2 * 1024 * 1024


def connect():
    """A connection that begins transactions only when told to; it waits for others, 10 s at most."""
    return closing(sqlite3.connect(DATABASE, timeout=10, isolation_level=None))


with connect() as database:
    database.execute("pragma journal_mode = wal")
    database.execute(
        "create table if not exists deliveries (webhook_id text primary key, received_at text default current_timestamp)"
    )
    database.execute(
        "create table if not exists calls (call_id text primary key not null, city text, phone text, summary text)"
    )


def handle(database, event):
    """YOURS: what a call means to you.

    It runs in the transaction that remembers the delivery, so both happen or neither. Write to this database only. What
    goes elsewhere (a CRM, an e-mail) is slow and cannot be rolled back: write it down here as work to do, and do it
    after the answer.
    """
    # New kinds of events may come, and a test event when somebody presses that button: take them and do nothing.
    if event["event_type"] != "call.completed":
        return
    database.execute(
        "insert into calls (call_id, city, phone, summary) values (:call_id, :city, :phone, :summary)",
        {field: event.get(field) for field in ("call_id", "city", "phone", "summary")},
    )


def handle_once(webhook_id, event):
    """Handles an event once, however often it is delivered; tells whether it was new."""
    with connect() as database:
        database.execute("begin immediate")
        try:
            insert = "insert into deliveries (webhook_id) values (?) on conflict do nothing"
            is_new = database.execute(insert, (webhook_id,)).rowcount == 1
            if is_new:
                handle(database, event)
            database.execute("commit")
            return is_new
        except BaseException:
            database.execute("rollback")
            raise


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self):
        try:
            status = self.status()
        except Exception as error:
            # An error of ours is 500: Callbox sends it again, by its schedule.
            self.log_error("%r", error)
            status = 500
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def status(self):
        # The bytes as they came: the signature is over them, and JSON that was parsed and written again has others.
        size = int(self.headers.get("content-length", "0"))
        if not 0 <= size <= LARGEST_BODY:
            self.close_connection = True
            return 413
        body = self.rfile.read(size)
        # Never 410 (Gone) for such things: it tells Callbox to stop sending until somebody switches it on again.
        if self.path != "/calls":
            return 404
        try:
            # Also refuses timestamps more than 5 minutes off, and takes either signature while the secret is replaced.
            event = webhook.verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError):
            return 401
        webhook_id = self.headers["webhook-id"]
        is_new = handle_once(webhook_id, event)
        print(webhook_id, "handled" if is_new else "seen before", flush=True)
        return 204

    def log_request(self, code="-", size="-"):
        """Quiet: what was done is printed above."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", PORT), Receiver)
    print("listening on", server.server_port, flush=True)
    server.serve_forever()
