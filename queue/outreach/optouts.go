package outreach

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// OptOut is a number that wants no advertising, with whom the business system
// knows by it: there the tick must go, too (field-notes §5.2).
type OptOut struct {
	Number   string    `json:"number"`
	Contacts []string  `json:"contacts"` // their ids
	At       time.Time `json:"at"`
	Inbox    uint64    `json:"inbox,string,omitempty"` // the message that said so
	By       string    `json:"by,omitempty"`           // who decided, where it was a person
}

// OptOuts lists opt-outs, the newest first, after a cursor; next is that of the
// rest. Who was erased is not among them: their objection is kept as a hash.
func (o *Outreach) OptOuts(after string, limit int) (list []OptOut, next string, err error) {
	if limit <= 0 {
		limit = usualPage
	}
	limit = min(limit, maxPage)
	err = o.db.View(func(tx *store.Tx) error {
		all, err := o.q.OptOutsTx(tx)
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b queue.OptOut) int { return cmp.Compare(optOutAt(&b), optOutAt(&a)) })
		from := 0
		for after != "" && from < len(all) && optOutAt(&all[from]) >= after {
			from++
		}
		for i := range all[from:] {
			one := &all[from+i]
			if len(list) == limit {
				return nil
			}
			who, err := withNumber(tx, one.Number)
			if err != nil {
				return err
			}
			ids := []string{}
			for _, c := range who {
				ids = append(ids, c.ID)
			}
			list = append(list, OptOut{Number: one.Number, Contacts: ids, At: one.At, Inbox: one.Inbox, By: one.By})
			if next = ""; from+i+1 < len(all) {
				next = optOutAt(one)
			}
		}
		return nil
	})
	return list, next, err
}

// optOutAt is the place of an opt-out among all: its time, and its hash where
// two came at once.
func optOutAt(o *queue.OptOut) string { return fmt.Sprintf("%020d.%s", o.At.UnixNano(), o.Hash) }
