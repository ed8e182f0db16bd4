// Package text knows what a short message costs and what its reader will see:
// alphabets, replacement of characters, part counts, prices and the numbers
// they go to.
//
// It is the only path for preview, queue, modem and SMPP, so that what a shop
// is shown before it sends is what goes out. Compose decides (final text,
// alphabet, parts, everything that was replaced), Split is the only cutter in
// the house, Septets and UTF16 make the units that a PDU carries, FromSeptets
// and FromUTF16 read them back from whatever a network delivers.
//
// It promises that nothing is dropped silently (every difference between the
// text given and the text sent is a Change, but for accents that are composed with
// their letters), that no part ends inside an
// escape sequence or a surrogate pair, and that no text is longer than the
// parts it announces. Everything is pure and safe for concurrent use.
//
// It imports no package of ours.
//
// Reading order: compose.go, read.go, policy.go, translit.go, split.go, alphabet.go,
// bits.go; then blame.go, number.go, sender.go, plan.go, tariff.go and selection.go. The tables a non-programmer can check
// are in tables/.
package text
