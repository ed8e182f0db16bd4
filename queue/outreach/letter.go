package outreach

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tillpost/queue"
	"tillpost/queue/store"
)

// The words of the mails that carry on what came in (forward.go), in the shop's
// language and by its clock. They stand in notices.csv.

const (
	// lettersHold is how many characters a mail of several messages may have;
	// text.MaxMail, and room for what stands around them.
	lettersHold = 18_000
	// saidHolds is how many of one message are carried on: 255 parts could hold
	// more than a mail does.
	saidHolds = 10_000
	// briefly is how much of a text stands where it is only referred to, and of a
	// name in a subject.
	briefly = 120
	// namesakes are named up to so many: families share a number.
	mostNamesakes = 3

	between = "\n\n———\n\n"
)

// letter is one mail, and what it tells of.
type letter struct {
	subject, text string
	inbox         []uint64
	from          []string
	since         time.Time // when the first of it came in
	together      bool
}

// letters makes a mail of each message, or as few as hold all of them.
func (o *Outreach) letters(tx *store.Tx, list []*queue.Inbound, together bool) (all []letter, err error) {
	for _, in := range list {
		l, err := o.letter(tx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if together {
		all = o.together(all)
	}
	for i := range all {
		all[i].text += "\n\n" + o.howToAnswer()
	}
	return all, nil
}

// together puts letters into as few as hold them.
func (o *Outreach) together(all []letter) (few []letter) {
	size := lettersHold
	for _, l := range all {
		n := utf8.RuneCountInString(between + l.text)
		if size += n; size > lettersHold {
			few, size = append(few, letter{together: true, since: l.since}), n
		}
		f := &few[len(few)-1]
		f.text += between + l.text
		if l.since.Before(f.since) { // a message with a gap was some time under way
			f.since = l.since
		}
		f.inbox, f.from = append(f.inbox, l.inbox...), append(f.from, l.from...)
	}
	for i := range few {
		n := strconv.Itoa(len(few[i].inbox))
		few[i].subject = o.notice("in_subject_many", "n", n)
		few[i].text = o.notice("in_many", "n", n) + few[i].text
	}
	return few
}

// letter is what one message says, who sent it, when, and what it answers.
func (o *Outreach) letter(tx *store.Tx, in *queue.Inbound) (letter, error) {
	l := letter{inbox: []uint64{in.Seq}, since: in.At}
	name, err := o.nameOf(tx, in.From)
	if err != nil {
		return l, err
	}
	who := cmp.Or(in.From, o.notice("in_nobody"))
	if in.From != "" {
		l.from = []string{in.From}
	}
	if name != "" {
		who = name + ", " + who
	}
	answered, err := o.answered(tx, in.Reply)
	if err != nil {
		return l, err
	}
	l.subject = o.notice(subjectOf(in), "who", cut(cmp.Or(name, who), briefly))
	lines := []string{o.notice("in_from", "who", who)}
	if when := o.cameAt(in); !when.IsZero() {
		lines = append(lines, o.notice("in_at", "when", o.stamp(when)))
	}
	lines = append(append(lines, answered...), o.remarks(in)...)
	if o.cfg.Page != "" {
		lines = append(lines, o.notice("in_open", "page", o.cfg.Page+"/inbox/"+strconv.FormatUint(in.Seq, 10)))
	}
	l.text = o.said(in) + "\n\n" + strings.Join(lines, "\n")
	return l, nil
}

// subjectOf: an objection is seen without opening the mail.
func subjectOf(in *queue.Inbound) string {
	if in.Action == queue.ActionOptOut {
		return "in_subject_optout"
	}
	return "in_subject"
}

// said is the text as it came.
func (o *Outreach) said(in *queue.Inbound) string {
	s := strings.ToValidUTF8(in.Text, "\uFFFD")
	if r := []rune(s); len(r) > saidHolds {
		s = string(r[:saidHolds]) + "…\n\n" + o.notice("in_cut")
	}
	return s
}

// nameOf is the name of who has a number, and under which the shop's own system
// knows them; empty: nobody is known to.
func (o *Outreach) nameOf(tx *store.Tx, number string) (string, error) {
	if number == "" {
		return "", nil
	}
	list, err := withNumber(tx, number)
	if err != nil {
		return "", err
	}
	var names []string
	for _, c := range list {
		if len(names) == mostNamesakes {
			names = append(names, "…")
			break
		}
		if name := c.whole(); name != "" {
			names = append(names, cut(name, briefly)+" ("+c.ID+")")
		} else {
			names = append(names, c.ID)
		}
	}
	return strings.Join(names, " / "), nil
}

// answered says what a message seems to answer.
func (o *Outreach) answered(tx *store.Tx, id queue.ID) (lines []string, err error) {
	if id == 0 {
		return nil, nil
	}
	m, err := o.q.LookTx(tx, id)
	if err != nil || m == nil {
		return nil, err
	}
	what := o.stamp(m.Created)
	if text := cut(m.Text(), briefly); text != "" { // old ones have none any more
		what = text + " (" + what + ")"
	}
	lines = append(lines, o.notice("in_reply", "what", what))
	if m.Ref != "" {
		lines = append(lines, o.notice("in_ref", "ref", cut(m.Ref, briefly)))
	}
	if m.Booking != "" {
		lines = append(lines, o.notice("in_booking", "booking", cut(m.Booking, briefly)))
	}
	return lines, nil
}

// remarks are what the box made of a message, and what became of its parts.
func (o *Outreach) remarks(in *queue.Inbound) (lines []string) {
	switch {
	case in.Undecodable:
		lines = append(lines, o.notice("in_undecodable"))
	case slices.Contains([]string{queue.ActionOptOut, queue.ActionOptIn, queue.ActionHelp, queue.ActionSuggest}, in.Action):
		lines = append(lines, o.notice("in_"+in.Action))
	}
	switch {
	case len(in.Missing) > 0:
		lines = append(lines, o.notice("in_missing", "n", strconv.Itoa(len(in.Missing)), "of", strconv.Itoa(in.Of)))
	case in.Told:
		lines = append(lines, o.notice("in_whole"))
	}
	return lines
}

// howToAnswer: the sender of a mail can be no telephone.
func (o *Outreach) howToAnswer() string {
	if o.cfg.Page == "" {
		return o.notice("in_inbox") + " " + o.notice("in_noreply")
	}
	return o.notice("in_noreply")
}

// cameAt is when it came; while nobody has told the box the time, when the
// network took it. Zero: neither is known.
func (o *Outreach) cameAt(in *queue.Inbound) time.Time {
	for _, t := range []time.Time{in.At, in.Parts[0].Sent} {
		if believable(t) {
			return t
		}
	}
	return time.Time{}
}

// stamp writes a time for the shop.
func (o *Outreach) stamp(t time.Time) string {
	return inWords(t.In(o.cfg.Location).Format(time.RFC3339), o.cfg.Language, o.cfg.Location)
}

// cut makes one line of a text, of at most n characters.
func cut(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
