// Package queue is the life of one message, from the commit that accepts it to
// the last thing anybody will ever know about it.
//
//	scheduled ─► queued ─► sending ─► sent ─► delivered
//	   │           │ ▲        │  │       └──► undelivered
//	   ▼           ▼ │        │  └──► unknown ──(report · policy · operator)──► sent · delivered · queued · failed
//	 cancelled   held · expired └──► failed
//
//	scheduled, queued, held ──(a backup was put back, and nobody can tell)──► unknown
//	undelivered, failed ──(the reader has another channel)──► queued
//
// What it promises:
//
//   - Who got an id can find that message until retention ends: Add returns
//     after the commit.
//   - A message is never silently doubled: the attempt is on disk before the
//     route sees it, and a message caught in a crash becomes unknown, which is
//     resent only as its own policy says.
//   - Every change of state goes through one door (State.On) and appends an
//     event in the same transaction.
//   - A message that waits says why and until when.
//
// It knows routes by queue/route alone, cuts texts with queue/text and keeps
// everything in queue/store; it may import nothing else of the house. What
// causes messages is the business of others (the API, queue/outreach): they all
// end in Add.
//
// To read it in an hour: message.go (the record), state.go (the door), add.go,
// take.go, lane.go, settle.go, report.go, wake.go, and queue.go for how the
// parts are wired. Then what a message meets on its way: routing.go and quota.go
// (who may carry it), limits.go and quiet.go (who may be sent to, and when),
// inbox.go and optout.go (what comes back), retention.go and erase.go (what is
// forgotten). Beside them: express.go (when add and take are one commit), time.go
// (what a clock that jumps, or is not set, does to all of this), pool.go (who is
// away, cheap, or has room), till.go and callback.go (what a till may send, and
// whom it wants told), eta.go; mail.go and fallback.go (what is different by
// e-mail, and how a message changes its channel). Two packages below stand by
// themselves: clock (how far the time can be believed) and hook (webhooks).
package queue
