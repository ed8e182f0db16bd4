package outreach

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// What a message's Source begins with.
const (
	sourceRule = "rule/"
	sourceTest = "test/"
)

// Steward answers the queue when a message is about to leave: consent given
// when a list was made is worth nothing if it was withdrawn since.
func Steward() queue.Steward {
	return queue.Steward{MayGo: mayGo, OptedOut: optedOut, Erased: erased, Numbers: numbers, Known: aboutNumber, Others: othersOf, Tells: tells, Unsaid: unsaid}
}

func mayGo(tx *store.Tx, m *queue.Message) (queue.Ruling, error) {
	kind, name, _ := strings.Cut(m.Source, "/")
	policy := Policy{RequireAll: []string{Marketing}}
	flag, registered := "", false // registered: it was written to somebody in the register
	switch kind + "/" {
	case sourceTest:
		return queue.Ruling{}, nil
	case sourceRule:
		r, err := rules.Get(tx, store.Str(name))
		if err != nil {
			return queue.Ruling{}, err
		}
		if r == nil || r.Off {
			return refuse("rule_off"), nil
		}
		policy, flag, registered = r.Consent, r.Flag, true
		if r.On.Event == OnReminder {
			if ruling, err := stillTheirs(tx, m); ruling.Why.Code != "" || err != nil {
				return ruling, err
			}
		}
		if ruling, err := mayRun(tx, m, name); ruling.Why.Code != "" || err != nil {
			return ruling, err
		}
	case string(KindCampaign) + "/", string(KindBatch) + "/":
		c, err := campaigns.Get(tx, store.Str(name))
		if err != nil {
			return queue.Ruling{}, err
		}
		if c != nil {
			if ruling := steered(c); ruling.Why.Code != "" {
				return ruling, nil
			}
			policy, registered = c.Consent, !c.Audience.IsZero()
		}
	}
	if m.Booking != "" {
		if ruling, err := mayTellOf(tx, m, name); ruling.Why.Code != "" || err != nil {
			return ruling, err
		}
	}
	if registered {
		if c, err := contacts.Get(tx, store.Str(m.Contact)); err != nil || c == nil {
			return refuse("contact_gone"), err
		}
	}
	return mayReach(tx, m, &policy, flag)
}

// steered: a person, or its event, has paused or stopped a campaign.
func steered(c *Campaign) queue.Ruling {
	switch c.State {
	case CampaignPaused, CampaignResuming, CampaignMoving:
		return hold("campaign_paused")
	case CampaignStopping, CampaignStopped:
		return refuse("campaign_stopped")
	}
	return queue.Ruling{}
}

// mayRun is steered for a message of a daily rule, which its run can be paused
// and stopped by.
func mayRun(tx *store.Tx, m *queue.Message, rule string) (queue.Ruling, error) {
	oc, err := occasionOf(tx, store.Join(store.Str(ownerContact+m.Contact), store.Str(rule)), m.ID)
	if err != nil || oc == nil || oc.Run == "" {
		return queue.Ruling{}, err
	}
	c, err := campaigns.Get(tx, store.Str(oc.Run))
	if err != nil || c == nil {
		return queue.Ruling{}, err
	}
	return steered(c), nil
}

// occasionOf finds the occasion of a message among those of an owner and a rule.
func occasionOf(tx *store.Tx, prefix []byte, msg queue.ID) (*occasion, error) {
	for key, pk := range byOwner.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		oc, err := occasions.Get(tx, pk)
		if err != nil || oc != nil && oc.Msg == msg {
			return oc, err
		}
	}
	return nil, nil
}

func hold(code string) queue.Ruling { return queue.Ruling{Why: queue.Because(code), Hold: true} }

func refuse(code string) queue.Ruling { return queue.Ruling{Why: queue.Because(code)} }

// mayTellOf: what was taken back while a lane held it does not go again.
func mayTellOf(tx *store.Tx, m *queue.Message, rule string) (queue.Ruling, error) {
	oc, err := occasionOf(tx, store.Join(store.Str(ownerBooking+m.Booking), store.Str(rule)), m.ID)
	if err != nil || oc == nil || !oc.Gone {
		return queue.Ruling{}, err
	}
	return refuse("booking_changed"), nil
}

// stillTheirs: nobody is reminded of a booking that somebody else has now.
func stillTheirs(tx *store.Tx, m *queue.Message) (queue.Ruling, error) {
	b, err := bookings.Get(tx, store.Str(m.Booking))
	if err != nil || b == nil || b.Contact == m.Contact {
		return queue.Ruling{}, err
	}
	return refuse("booking_changed"), nil
}

// mayReach asks the exclusion list and the ledger about the recipient. What
// was missing when the list was made was decided then; here a withdrawal counts.
func mayReach(tx *store.Tx, m *queue.Message, policy *Policy, flag string) (queue.Ruling, error) {
	var who []*Contact
	if m.Contact != "" {
		c, err := contacts.Get(tx, store.Str(m.Contact))
		if err != nil {
			return queue.Ruling{}, err
		}
		e, err := exclusions.Get(tx, store.Str(m.Contact))
		if err != nil || e != nil {
			return refuse("excluded"), err
		}
		if c != nil {
			who = []*Contact{c}
		}
	}
	if why, err := excludedOwner(tx, m.To); why != "" || err != nil {
		return refuse("excluded"), err
	}
	if who == nil {
		var err error
		if who, err = withNumber(tx, m.To); err != nil {
			return queue.Ruling{}, err
		}
	}
	for _, c := range who {
		if m.Contact != "" {
			if why, err := excluded(tx, c); why != "" || err != nil {
				return refuse("excluded"), err
			}
			if flag != "" {
				on, err := flagNow(tx, m, c, flag)
				if err != nil {
					return queue.Ruling{}, err
				}
				if !on {
					return refuse("reminder_off"), nil
				}
			}
		}
		if policy.Ignore {
			continue
		}
		g, err := consentsOf(tx, c.ID, string(m.Via()))
		if err != nil {
			return queue.Ruling{}, err
		}
		if policy.withdrawn(g) {
			return refuse("no_consent"), nil
		}
	}
	return queue.Ruling{}, nil
}

func flagNow(tx *store.Tx, m *queue.Message, c *Contact, flag string) (bool, error) {
	if m.Booking != "" && flag == FlagReminder {
		b, err := bookings.Get(tx, store.Str(m.Booking))
		if err != nil {
			return false, err
		}
		if b != nil && b.AutoReminder != nil {
			return *b.AutoReminder, nil
		}
	}
	return c.Flags[flag], nil
}

// withdrawn: the ledger says no to what the policy requires, or yes to what it
// excludes.
func (p *Policy) withdrawn(g granted) bool {
	for _, purpose := range p.RequireAll {
		if purpose == "*" {
			for _, on := range g {
				if !on {
					return true
				}
			}
		}
		if on, known := g.of(purpose); known && !on {
			return true
		}
	}
	return slices.ContainsFunc(p.ExcludeAny, func(purpose string) bool {
		on, _ := g.of(purpose)
		return on
	})
}

// optedOut writes what the inbox was told into the ledger of everybody who has
// that number: all purposes end, and only advertising comes back by itself.
func optedOut(tx *store.Tx, number string, out bool, inbox uint64, by string) error {
	list, err := withNumber(tx, number)
	if err != nil {
		return err
	}
	how := fmt.Sprintf("SMS to this box (inbox %d)", inbox)
	for _, c := range list {
		at, err := afterAll(tx, c.ID)
		if err != nil {
			return err
		}
		g, err := consentsOf(tx, c.ID, SMS)
		if err != nil {
			return err
		}
		purposes := []string{Marketing}
		if out {
			for purpose, on := range g {
				if on && purpose != Marketing {
					purposes = append(purposes, purpose)
				}
			}
		}
		slices.Sort(purposes)
		for _, purpose := range purposes {
			row := &Consent{Contact: c.ID, Purpose: purpose, Channel: SMS, Granted: !out, At: at, How: how, By: by}
			if err := note(tx, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// afterAll is now; on a box that boots in 1970 it is the newest time in the
// ledger of that person, so that the last word is theirs.
func afterAll(tx *store.Tx, contact string) (time.Time, error) {
	at := time.Now()
	for c, err := range under(tx, consents, store.Str(contact)) {
		if err != nil {
			return at, err
		}
		if c.At.After(at) {
			at = c.At
		}
	}
	return at, nil
}

// othersOf lists the other numbers and addresses of everybody who has one. What
// somebody else has as well is theirs, and is left.
func othersOf(tx *store.Tx, number string) (list []string, err error) {
	who, err := withNumber(tx, number)
	if err != nil {
		return nil, err
	}
	for _, c := range who {
		for _, other := range []string{c.Number, c.Email} {
			if other == "" || other == number || slices.Contains(list, other) {
				continue
			}
			sharers, err := withNumber(tx, other)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(sharers, func(s *Contact) bool {
				return !slices.ContainsFunc(who, func(w *Contact) bool { return w.ID == s.ID })
			}) {
				list = append(list, other)
			}
		}
	}
	return list, nil
}

// erased forgets a person in everything that outreach keeps. That they are
// kept out of everything stays, without their number.
func erased(tx *store.Tx, number string) error {
	list, err := withNumber(tx, number)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, c := range list {
		gone[c.ID] = true
		if err := eraseContact(tx, c.ID); err != nil {
			return err
		}
	}
	var kept []*Exclusion
	for e, err := range exclusions.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if e.Number == number {
			kept = append(kept, e)
		}
	}
	for _, e := range kept {
		e.Number = ""
		if err := exclusions.Put(tx, e); err != nil {
			return err
		}
	}
	return eraseFromLists(tx, number, gone)
}

func eraseContact(tx *store.Tx, id string) error {
	var theirs []string
	prefix := store.Str(id)
	for key, booking := range byBooker.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		theirs = append(theirs, store.ReadKey(booking).Str())
	}
	owners := []string{ownerContact + id}
	for _, b := range theirs {
		if err := forgetBooking(tx, b); err != nil {
			return err
		}
		owners = append(owners, ownerBooking+b)
	}
	for _, owner := range owners {
		var keys [][]byte
		prefix := store.Str(owner)
		for key, pk := range byOwner.Keys(tx, prefix) {
			if !bytes.HasPrefix(key, prefix) {
				break
			}
			keys = append(keys, bytes.Clone(pk))
		}
		for _, key := range keys {
			if err := occasions.Delete(tx, key); err != nil {
				return err
			}
		}
	}
	return forget(tx, id)
}

// eraseFromLists takes a person out of the lists of campaigns; that somebody
// stood there stays, for the counts.
func eraseFromLists(tx *store.Tx, number string, gone map[string]bool) error {
	var touched []*sheet
	for s, err := range sheets.Scan(tx, nil) {
		if err != nil {
			return err
		}
		mine := false
		for i := range s.List {
			r := &s.List[i]
			if number != "" && r.To == number || r.Contact != "" && gone[r.Contact] {
				mine = true
				*r = Recipient{Row: r.Row, State: r.State, Why: "erased"}
			}
		}
		if mine {
			touched = append(touched, s)
		}
	}
	for _, s := range touched {
		if err := sheets.Put(tx, s); err != nil {
			return err
		}
	}
	return nil
}
