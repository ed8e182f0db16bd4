package queue

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tillpost/queue/route"
)

// What a report says beside its reference, weighed where the reference settles
// nothing: the answer that would have named it was lost. Another system may
// write to the same phone from the same account, and its report must not pass
// for ours: a message that is called delivered is never sent again.

const (
	// farthestZone is how far two clocks on the wall can be apart: from UTC-12
	// to UTC+14 would be more, but no network counts its time in both.
	farthestZone = 14 * time.Hour
	// zoneStep divides every time zone there is.
	zoneStep = 15 * time.Minute
	// clockSlack is how wrong the network's clock may be, and the seconds that
	// most of them leave out.
	clockSlack = 3 * time.Minute
	// telling is how many characters of a text are no accident.
	telling = 5
)

// mayMean says whether a report may be about part n of m, whose answer was
// lost. A mark decides alone; a report without one, also of a message that was
// sent with one, may mean whatever nothing in it contradicts.
func (q *Queue) mayMean(m *Message, n int, rep *route.Report) bool {
	if rep.Mark != 0 {
		return rep.Mark == route.Mark(m.ID.String(), m.Attempt, n)
	}
	return !q.contradicts(m, n, rep)
}

// contradicts says whether the text or the time in a report are those of
// another message. What is not there contradicts nothing.
func (q *Queue) contradicts(m *Message, n int, rep *route.Report) bool {
	if q.clock.Known() && !sentThen(m, rep.Sent) {
		return true
	}
	return otherText(rep.Quote, m.Segments[n-1].Text) && otherText(rep.Quote, m.Text())
}

// sentThen says whether the network can have got m when it says. It writes its
// local time and seldom the zone, so the hours prove nothing: only what is off
// by no time zone was not then.
func sentThen(m *Message, said time.Time) bool {
	if said.IsZero() {
		return true
	}
	from, to := m.Took.Add(-clockSlack), m.Took.Add(clockSlack)
	if m.Settled.After(m.Took) {
		to = m.Settled.Add(clockSlack)
	}
	if said.Before(from.Add(-farthestZone)) || said.After(to.Add(farthestZone)) {
		return false
	}
	// The first time on the wall not before from.
	first := said.Add(-said.Sub(from).Truncate(zoneStep))
	if first.Before(from) {
		first = first.Add(zoneStep)
	}
	return !first.After(to)
}

// otherText says whether quote, the beginning of a text as a network repeats
// it, surely begins another text than sent. Networks cut it, transcode it, put
// octets there or nothing: it is compared up to the first character that does
// not read the same in every alphabet, and only if it is long enough and looks
// like a text at all.
func otherText(quote, sent string) bool {
	quote = strings.TrimSpace(quote)
	if utf8.RuneCountInString(quote) < telling || filler(quote) {
		return false
	}
	sent = strings.TrimSpace(sent)
	for quote != "" {
		q, size := utf8.DecodeRuneInString(quote)
		s, width := utf8.DecodeRuneInString(sent)
		switch {
		case width == 0:
			return true // it goes on where ours has ended
		case !everywhere(q) || !everywhere(s):
			return false
		case unicode.ToLower(q) != unicode.ToLower(s):
			return true
		}
		quote, sent = quote[size:], sent[width:]
	}
	return false
}

// filler says whether a quote is no text: octets, hexadecimal digits, or one
// character again and again.
func filler(quote string) bool {
	hex := true
	for _, r := range quote {
		if !unicode.IsPrint(r) && !strings.ContainsRune("\r\n\t", r) {
			return true
		}
		hex = hex && strings.ContainsRune("0123456789abcdefABCDEF", r)
	}
	first, _ := utf8.DecodeRuneInString(quote)
	return hex || strings.Trim(quote, string(first)) == ""
}

// everywhere says whether a character has one code in ASCII, Latin-1 and
// GSM 7 bit, and is not what networks write for those they do not have.
func everywhere(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" !\"%&'()*+,-/:;<=>", r)
}
