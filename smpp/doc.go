// Package smpp is the route to an SMSC over SMPP 3.4: one account, bound one
// or several times.
//
// It promises that
//
//   - it is known of every submit_sm whether its first byte left. What was in
//     flight when a connection broke or the answer stayed away is Unknown,
//     never failed and never sent again by this package; what had not left is
//     NotOffered;
//   - a deliver_sm is answered after the sink's commit and with a failure if
//     that failed, so that the SMSC keeps what we could not;
//   - the goroutine that reads the wire waits neither for the disk nor for a
//     window, and memory stays bounded whatever the peer sends;
//   - the id in a receipt reaches the queue spelled as the id of the
//     submit_sm_resp was, in whichever base the SMSC writes either.
//
// How the pieces hang together, from above to the wire:
//
//	Send ── window (a place) ── pacer (a turn) ── session.ask ──► writer ─► SMSC
//	 ▲                                                │
//	 └────────── answer, by sequence number ◄─────────┤
//	                                                reader ◄─────────────── SMSC
//	Sink ◄── desk (bounded; in order for each phone) ◄┘
//	          └── deliver_sm_resp, after the commit ──► writer
//
//	Run ── one link per bind: dial → TLS → bind → serve → unbind, or wait and again
//
// The PDUs are written and read by the pdu, pdufield and pdutlv packages of
// github.com/fiorix/go-smpp. Its client is not used: it confuses an answer
// with a request of the same sequence number and cannot say whether a submit
// left.
//
// The package may import queue/route and queue/text and nothing else of ours.
package smpp
