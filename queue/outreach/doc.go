// Package outreach is why messages get written. Today that is the template:
// one text for many people, with placeholders for what differs.
//
// What it promises:
//
//   - A placeholder never reaches a customer. One that nobody fills in, and a
//     recipient without the value it needs, are found before anything is sent.
//   - What a customer is called is not read again: a value that looks like a
//     placeholder is text.
//   - A template is parsed once and rendered for each recipient; both are pure,
//     and a Template is safe for concurrent use.
//
// What is rendered ends in queue.Add or queue.Quote like every other text; this
// package cuts nothing and prices nothing. It may import queue, route, store
// and text.
//
// Reading order: template.go, mark.go (what a placeholder is), sentence.go
// (what is left out with one), value.go (dates).
package outreach
