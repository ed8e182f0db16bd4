// Package outreach is why messages get written: what ticket shops, booking
// calendars, tills, associations and garages tell their customers
// (field-notes §4), and what the law asks of whoever does that (§5).
//
// What it promises:
//
//   - Nothing is said twice: a rule's occasion, and a campaign's place in its
//     list, are written in the transaction that accepts the message. A power
//     cut at any moment continues without doubling.
//   - Nobody is written to who said no: consents, the exclusion list and the
//     switches of a contact are asked when a list is made, when it is handed
//     over, and by the queue when the message would leave.
//   - What is no longer true is taken back, also from a lane: a booking that
//     was cancelled or moved, an event, a campaign that was stopped.
//   - A placeholder never reaches a customer. One that nobody fills in, and a
//     recipient without the value it needs, are found before anything is sent.
//   - What comes in is carried on to the shop's mailboxes once, where that is
//     wished, and who is forgotten is forgotten in those mails, too.
//   - Clock times are those of the shop, by the name of its zone, in both
//     nights on which the clock changes. While nobody has told the time, nothing
//     is due.
//
// Everything ends in queue.AddTx; this package cuts nothing and prices nothing.
// It may import queue, route, store and text.
//
// Reading order: template.go with mark.go, sentence.go, value.go, html.go (what
// is written); contact.go, attribute.go, consent.go, importer.go with file.go (to
// whom); audience.go (who of them); stored.go (templates with versions);
// booking.go, book.go, rule.go, window.go, plan.go, silence.go (dated facts, and
// what follows from them); campaign.go, steer.go, start.go, preview.go,
// handover.go (one text to many); run.go (the scheduler), steward.go (what the queue asks), notice.go (who is told),
// forward.go with letter.go (replies carried on by e-mail), check.go.
package outreach
