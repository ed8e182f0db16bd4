package queue

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tillpost/queue/store"
)

// What the words of an inbound message mean.
const (
	ActionOptOut  = "optout"  // the whole message is an opt-out word: done
	ActionOptIn   = "optin"   // the whole message takes it back: done
	ActionHelp    = "help"    // the whole message asks for help
	ActionSuggest = "suggest" // it may be an opt-out; a person decides
)

// Words for opting out and in, as the vector file has them. "ask" words mean
// nothing without a question and are ordinary replies.
//
//go:embed optout_keywords.csv
var optoutCSV []byte

var optoutWords = sync.OnceValue(func() map[string]string {
	rows, err := csv.NewReader(bytes.NewReader(optoutCSV)).ReadAll()
	if err != nil {
		panic("optout_keywords.csv: " + err.Error()) // compiled in, and read by a test
	}
	table := map[string]string{}
	for _, row := range rows[1:] {
		if row[2] != "ask" {
			table[plain(row[0])] = row[2]
		}
	}
	return table
})

// plain is how opt-out words are compared: without regard to case, accents,
// and blanks, quotes and stops around them.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, norm.NFD.String(s))
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) })
	return strings.Join(strings.Fields(s), " ")
}

// weakWords is the length up to which a message that begins with an opt-out
// word is put to a person. "Stop bij de bakker om 3" is longer.
const weakWords = 4

// meaning reads a whole message.
func meaning(text string) string {
	p := plain(text)
	if action, ok := optoutWords()[p]; ok {
		return action
	}
	first, _, more := strings.Cut(p, " ")
	if more && len(strings.Fields(p)) <= weakWords && optoutWords()[plain(first)] == ActionOptOut {
		return ActionSuggest
	}
	return ""
}

// OptOut is a number that wants no marketing. It is kept under a hash, so that
// the objection is honoured even when the number itself was erased.
type OptOut struct {
	Hash   string    `json:"hash"`
	Number string    `json:"number,omitempty"`
	At     time.Time `json:"at"`
	Inbox  uint64    `json:"inbox,omitempty"` // the message that asked for it
	By     string    `json:"by,omitempty"`    // or the person who decided
}

var optOuts = store.NewTable("optout", func(o *OptOut) []byte { return store.Str(o.Hash) })

// obey does at once what the action of an inbound message says: an opt-out
// also stops marketing that is already queued.
func (q *Queue) obey(tx *store.Tx, in *Inbound, by string) error {
	switch in.Action {
	case ActionOptOut:
		o := &OptOut{Hash: q.hash(in.From), Number: in.From, At: q.now(), Inbox: in.Seq, By: by}
		if old, err := optOuts.Get(tx, store.Str(q.hash(in.From))); err != nil || old != nil {
			return err // a second STOP changes nothing
		}
		if err := optOuts.Insert(tx, o); err != nil {
			return err
		}
		if err := q.dropMarketing(tx, in.From); err != nil {
			return err
		}
		if told := q.cfg.Steward.OptedOut; told != nil {
			if err := told(tx, in.From, true, in.Seq, by); err != nil {
				return err
			}
		}
		return q.noteInbound(tx, in, KindOptOut, by)
	case ActionOptIn:
		old, err := optOuts.Get(tx, store.Str(q.hash(in.From)))
		if err != nil || old == nil {
			return err
		}
		if err := optOuts.Delete(tx, store.Str(q.hash(in.From))); err != nil {
			return err
		}
		if told := q.cfg.Steward.OptedOut; told != nil {
			if err := told(tx, in.From, false, in.Seq, by); err != nil {
				return err
			}
		}
		return q.noteInbound(tx, in, KindOptIn, by)
	}
	return nil
}

// dropMarketing ends the marketing to a number that has not left. What a lane
// holds goes on to its verdict.
func (q *Queue) dropMarketing(tx *store.Tx, number string) error {
	var waiting []ID
	for m, err := range newestUnder(tx, byTo, store.Str(tail(number)), 0) {
		if err != nil {
			return err
		}
		switch m.State {
		case Scheduled, Queued, Held:
			if m.Class == Marketing && m.To == number && !m.left() {
				waiting = append(waiting, m.ID)
			}
		}
	}
	for _, id := range waiting {
		_, err := q.change(tx, id, func(m *Message) error {
			return q.end(tx, m, onCancel, because("opted_out"), Event{Kind: KindCancelled, Code: "opted_out"})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseOptedOut keeps marketing away from who does not want it.
func (q *Queue) refuseOptedOut(tx *store.Tx, m *Message) error {
	if m.Class != Marketing {
		return nil
	}
	o, err := optOuts.Get(tx, store.Str(q.hash(m.To)))
	if err != nil || o == nil {
		return err
	}
	return &Invalid{"to", "opted_out", "this customer does not want advertising messages. Appointment and order messages (class transactional) may still be sent"}
}

// OptedOut says whether a number wants no marketing: nil if it may be sent to.
func (q *Queue) OptedOut(number string) (o *OptOut, err error) {
	err = q.db.View(func(tx *store.Tx) error {
		o, err = q.OptedOutTx(tx, number)
		return err
	})
	return o, err
}

// OptedOutTx is OptedOut for who is reading already.
func (q *Queue) OptedOutTx(tx *store.Tx, number string) (*OptOut, error) {
	return optOuts.Get(tx, store.Str(q.hash(number)))
}

// OptOutsTx lists who wants no marketing, in no order. Who was erased is known
// by hash only, and left out.
func (q *Queue) OptOutsTx(tx *store.Tx) (list []OptOut, err error) {
	for o, err := range optOuts.Scan(tx, nil) {
		if err != nil {
			return nil, err
		}
		if o.Number != "" {
			list = append(list, *o)
		}
	}
	return list, nil
}

// DecideInbound is a person's reading of an inbound message: ActionOptOut,
// ActionOptIn, or "" for an ordinary reply. Error: ErrNotFound, *Invalid.
func (q *Queue) DecideInbound(ctx context.Context, seq uint64, action, by string) error {
	switch action {
	case ActionOptOut, ActionOptIn, "":
	default:
		return oneOf("action", action, ActionOptOut, ActionOptIn, "")
	}
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		in, err := inbox.Get(tx, seqKey(seq))
		if err != nil {
			return err
		}
		if in == nil {
			return ErrNotFound
		}
		in.Action, in.By = action, by
		if err := q.obey(tx, in, by); err != nil {
			return err
		}
		return inbox.Put(tx, in)
	})
}

// forgetOptOutNumber leaves only the hash of an opt-out.
func (q *Queue) forgetOptOutNumber(tx *store.Tx, number string) error {
	o, err := optOuts.Get(tx, store.Str(q.hash(number)))
	if err != nil || o == nil {
		return err
	}
	o.Number = ""
	return optOuts.Put(tx, o)
}
