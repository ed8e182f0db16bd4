package outreach

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Consent is one line of the ledger: a person said yes or no to a purpose. A
// line is never changed; what holds is the newest by when it was said.
type Consent struct {
	Seq     uint64 `json:"seq"`
	Contact string `json:"contact"`
	Purpose string `json:"purpose"`           // marketing, or the shop's own word
	Channel string `json:"channel,omitempty"` // sms, email; empty: both
	Granted bool   `json:"granted"`

	At      time.Time `json:"at"`                // when it was said
	How     string    `json:"how"`               // where: till form, import list.csv, SMS
	Wording string    `json:"wording,omitempty"` // what the person was shown
	By      string    `json:"by,omitempty"`      // till or person that told us
	Noted   time.Time `json:"noted"`             // when we were told

	// Listed: a file said so, which tells what its system holds and not when
	// the person said it.
	Listed bool `json:"listed,omitempty"`
}

// Marketing is the purpose that messages of class marketing need where no other
// is named.
const Marketing = "marketing"

// Channels that a message can take.
const (
	SMS   = "sms"
	Email = "email"
)

// Policy says which consents a recipient must have given, and which not. The
// zero value asks for none.
type Policy struct {
	Ignore     bool     `json:"ignore,omitempty"`
	RequireAll []string `json:"require_all,omitempty"` // purposes; "*" is every purpose this recipient was ever asked about, at least one
	ExcludeAny []string `json:"exclude_any,omitempty"` // purposes of which none may be granted

	// Given is proof that comes with a list, for recipients who bring none of
	// their own (field-notes §4.3).
	Given *Proof `json:"proof,omitempty"`
}

// Proof of consent that the caller holds.
type Proof struct {
	Given   bool      `json:"given"`
	Purpose string    `json:"purpose,omitempty"` // what for; empty: the one purpose that is required
	Source  string    `json:"source"`            // where it was given
	At      time.Time `json:"at"`
}

// covers: the proof is about this purpose.
func (p *Proof) covers(purpose string) bool {
	return p != nil && (p.Purpose == "" || fold(p.Purpose) == fold(purpose))
}

// checkFor is check, of a proof that stands for what a policy requires: where
// that is more than one thing, it must say for which.
func (p *Proof) checkFor(required []string, field string, now time.Time) error {
	if p != nil && p.Purpose == "" && len(required) > 1 {
		return invalid(field+".purpose", "proof_incomplete", "%d purposes are required, and the proof does not say for which it is. Name it in purpose: consent to one is none to another", len(required))
	}
	return p.check(field, now)
}

func (p *Proof) check(field string, now time.Time) error {
	switch {
	case p == nil:
		return nil
	case !p.Given:
		return invalid(field+".given", "no_consent", "the proof says that consent was not given. Leave these recipients out")
	case strings.TrimSpace(p.Source) == "" || p.At.IsZero():
		return invalid(field+".source", "proof_incomplete", "proof of consent needs source and at: where and when it was given")
	case p.At.After(now):
		return invalid(field+".at", "in_the_future", "consent cannot have been given in the future. Correct the time")
	}
	return nil
}

// normal checks a policy for a class of messages and completes it: marketing
// that names nothing needs the consent of that name.
func (o *Outreach) policy(p Policy, class queue.Class) (Policy, error) {
	for _, purpose := range slices.Concat(p.RequireAll, p.ExcludeAny) {
		if strings.TrimSpace(purpose) == "" {
			return p, invalid("consent", "purpose_missing", "a purpose has no name. Name it, or leave it out")
		}
	}
	if p.Ignore && (len(p.RequireAll) > 0 || len(p.ExcludeAny) > 0) {
		return p, invalid("consent", "one_of_two", "consent cannot be ignored and required at once. Leave ignore out, or the lists")
	}
	if err := p.Given.checkFor(p.RequireAll, "consent.proof", o.q.Now()); err != nil {
		return p, err
	}
	if class != queue.Marketing || o.cfg.TillChecks {
		return p, nil
	}
	if p.Ignore {
		return p, invalid("consent.ignore", "no_consent", "messages of class marketing need consent, which cannot be ignored. Name the purposes in require_all, send proof, or use class transactional if it is no advertising")
	}
	if len(p.RequireAll) == 0 {
		p.RequireAll = []string{Marketing}
	}
	return p, nil
}

// granted are the consents of one person that hold now, by folded purpose:
// Marketing and marketing are one.
type granted map[string]bool

func (g granted) of(purpose string) (on, known bool) {
	on, known = g[fold(purpose)]
	return on, known
}

// consentsOf reads what holds for a contact on a channel.
func consentsOf(tx *store.Tx, contact, channel string) (granted, error) {
	newest, err := lastSaid(tx, contact, channel)
	if err != nil {
		return nil, err
	}
	g := make(granted, len(newest))
	for purpose, c := range newest {
		g[purpose] = c.Granted
	}
	return g, nil
}

// lastSaid is the line that holds for each purpose on a channel.
func lastSaid(tx *store.Tx, contact, channel string) (newest map[string]*Consent, err error) {
	for c, err := range under(tx, consents, store.Str(contact)) {
		if err != nil {
			return nil, err
		}
		if c.Channel != "" && c.Channel != channel {
			continue // opting out of one channel does not end another (field-notes §5.1, SE)
		}
		if newest == nil {
			newest = map[string]*Consent{}
		}
		purpose := fold(c.Purpose)
		if n := newest[purpose]; n == nil || !c.At.Before(n.At) && (c.At.After(n.At) || c.Seq > n.Seq) {
			newest[purpose] = c
		}
	}
	return newest, nil
}

// allows answers for a recipient; why is empty if they may be written to. said
// are consents that came with the call.
func (p *Policy) allows(g granted, said []string) (why string) {
	if p.Ignore {
		return ""
	}
	agreed := func(purpose string) bool {
		return slices.ContainsFunc(said, func(s string) bool { return fold(s) == fold(purpose) })
	}
	for _, purpose := range p.RequireAll {
		if purpose == "*" {
			if len(g) == 0 && len(said) == 0 && p.Given == nil {
				return "there is no consent on record"
			}
			for purpose, on := range g {
				if !on {
					return fmt.Sprintf("consent for %s was withdrawn", purpose)
				}
			}
			continue
		}
		switch on, known := g.of(purpose); {
		case known && !on: // which the caller may not know yet
			return fmt.Sprintf("consent for %s was withdrawn", purpose)
		case !known && !agreed(purpose) && !p.Given.covers(purpose):
			return fmt.Sprintf("there is no consent for %s", purpose)
		}
	}
	for _, purpose := range p.ExcludeAny {
		if on, _ := g.of(purpose); on || agreed(purpose) {
			return fmt.Sprintf("consent for %s is among those that must not be given", purpose)
		}
	}
	return ""
}

// AddConsent writes a line into the ledger. Errors: *queue.Invalid, ErrNotFound
// if there is no such contact.
func (o *Outreach) AddConsent(ctx context.Context, c Consent) (*Consent, error) {
	c.Purpose, c.Channel = strings.TrimSpace(c.Purpose), strings.ToLower(strings.TrimSpace(c.Channel))
	now := o.q.Now()
	if c.At.IsZero() {
		c.At = now
	}
	switch {
	case c.Purpose == "" || c.Purpose == "*":
		return nil, invalid("purpose", "purpose_missing", "say what the consent is for: purpose is marketing, or a word of your own")
	case c.Channel != "" && c.Channel != SMS && c.Channel != Email:
		return nil, invalid("channel", "unknown_value", "%q is no channel. Use sms or email, or leave it out for both", c.Channel)
	case strings.TrimSpace(c.How) == "":
		return nil, invalid("how", "proof_incomplete", "say how it was given or withdrawn, such as \"form at the till\": consent that cannot be shown counts for nothing")
	case c.At.After(now.Add(time.Minute)):
		return nil, invalid("at", "in_the_future", "consent cannot have been given in the future. Correct the time")
	case len(c.Purpose) > maxField || len(c.How) > maxField || len(c.Wording) > maxAttrBytes:
		return nil, invalid("wording", "too_long", "purpose and how have at most %d bytes, wording %d. Shorten them", maxField, maxAttrBytes)
	}
	c.Noted = now
	err := o.commit(ctx, func(tx *store.Tx) error {
		who, err := contacts.Get(tx, store.Str(c.Contact))
		if err != nil {
			return err
		}
		if who == nil {
			return ErrNotFound
		}
		return note(tx, &c)
	})
	return &c, err
}

// note writes a line.
func note(tx *store.Tx, c *Consent) (err error) {
	if c.Seq, err = consents.NextSequence(tx); err != nil {
		return err
	}
	if c.Noted.IsZero() {
		c.Noted = c.At
	}
	return consents.Insert(tx, c)
}

// Consents is the ledger of one contact, oldest line first.
func (o *Outreach) Consents(contact string) (list []Consent, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		for c, err := range under(tx, consents, store.Str(contact)) {
			if err != nil {
				return err
			}
			list = append(list, *c)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Consent) int { return int(a.Seq) - int(b.Seq) })
	return list, err
}

// Exclusion keeps a person out of everything, whatever any rule says: deceased,
// or ended in another way (field-notes §4.4).
type Exclusion struct {
	ID     string    `json:"id"`               // of the contact
	Number string    `json:"number,omitempty"` // keeps out lists that give no id
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// endedWords are the states after which nobody may be written to, in the words
// of the systems that keep them.
var endedWords = words(`
	deceased terminated revoked cancelled excluded ended expelled
	overleden opgezegd ingetrokken geannuleerd geroyeerd uitgesloten
	avliden uppsagd återkallad avslutad utesluten
	verstorben gekündigt widerrufen storniert ausgeschlossen beendet`)

// PutExclusion keeps somebody out. Error: *queue.Invalid.
func (o *Outreach) PutExclusion(ctx context.Context, e Exclusion) (*Exclusion, error) {
	if err := checkID("id", e.ID); err != nil {
		return nil, err
	}
	if e.Reason = strings.TrimSpace(e.Reason); e.Reason == "" {
		return nil, invalid("reason", "reason_missing", "say why: deceased, membership ended …")
	}
	if e.Number != "" {
		c := Contact{ID: e.ID, Number: e.Number}
		if err := o.normal(&c); err != nil {
			return nil, err
		}
		e.Number = c.Number
	}
	e.At = o.q.Now()
	return &e, o.commit(ctx, func(tx *store.Tx) error { return exclusions.Put(tx, &e) })
}

// DeleteExclusion lets somebody be written to again. Error: ErrNotFound.
func (o *Outreach) DeleteExclusion(ctx context.Context, id string) error {
	return o.commit(ctx, func(tx *store.Tx) error { return deleteKnown(tx, exclusions, id) })
}

// Exclusions lists who is kept out, by id.
func (o *Outreach) Exclusions(after string, limit int) ([]Exclusion, string, error) {
	return page(o.db, exclusions, after, limit, func(e *Exclusion) string { return e.ID })
}

func deleteKnown[T any](tx *store.Tx, table *store.Table[T], name string) error {
	v, err := table.Get(tx, store.Str(name))
	if err != nil {
		return err
	}
	if v == nil {
		return ErrNotFound
	}
	return table.Delete(tx, store.Str(name))
}

// excluded says why a contact is kept out; empty: they are not.
func excluded(tx *store.Tx, c *Contact) (why string, err error) {
	e, err := exclusions.Get(tx, store.Str(c.ID))
	if err != nil {
		return "", err
	}
	if e != nil {
		return "is on the exclusion list: " + e.Reason, nil
	}
	if endedWords[strings.ToLower(c.Status)] {
		return "has the status " + c.Status, nil
	}
	return excludedNumber(tx, c.Number)
}

func excludedNumber(tx *store.Tx, number string) (why string, err error) {
	if number == "" {
		return "", nil
	}
	prefix := store.Str(number)
	for key, id := range byExcludedNumber.Keys(tx, prefix) {
		if len(key) < len(prefix) || string(key[:len(prefix)]) != string(prefix) {
			break
		}
		e, err := exclusions.Get(tx, id)
		if err != nil {
			return "", err
		}
		if e != nil {
			return "is on the exclusion list: " + e.Reason, nil
		}
	}
	return "", nil
}

// excludedOwner says why everybody known by a number is kept out: a list that
// gives no ids must not reach who is on the exclusion list either.
func excludedOwner(tx *store.Tx, number string) (why string, err error) {
	if why, err = excludedNumber(tx, number); why != "" || err != nil {
		return why, err
	}
	known, err := withNumber(tx, number)
	if err != nil {
		return "", err
	}
	for _, c := range known {
		if why, err = excluded(tx, c); why == "" || err != nil {
			return "", err // somebody else has the same phone
		}
	}
	return why, nil
}
