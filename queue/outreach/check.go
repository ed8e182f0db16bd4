package outreach

import (
	"errors"
	"fmt"

	"tillpost/queue/store"
)

// Check verifies what must always hold of what outreach keeps, and reports
// whatever does not:
//
//  1. a plan and an occasion belong to a rule by name and to an owner;
//  2. a campaign that is under way has as many recipients as its pages hold;
//  3. no campaign has handed over or refused more than it has recipients;
//  4. a message of a list is in it once.
func Check(tx *store.Tx) error {
	var faults []error
	report := func(err error) { faults = append(faults, err) }
	for p, err := range plans.Scan(tx, nil) {
		if err != nil {
			report(err)
			continue
		}
		if p.Rule == "" || contactOf(p.Owner) == "" && bookingOf(p.Owner) == "" {
			report(fmt.Errorf("a plan of rule %q belongs to %q, which is neither a contact nor a booking", p.Rule, p.Owner))
		}
	}
	for c, err := range campaigns.Scan(tx, nil) {
		if err != nil {
			report(err)
			continue
		}
		checkList(tx, c, report)
	}
	return errors.Join(faults...)
}

func checkList(tx *store.Tx, c *Campaign, report func(error)) {
	if c.State == CampaignDraft {
		return
	}
	n, pages := 0, 0
	seen := map[uint64]bool{}
	for s, err := range under(tx, sheets, store.Str(c.Name)) {
		if err != nil {
			report(err)
			continue
		}
		n, pages = n+len(s.List), pages+1
		for _, r := range s.List {
			if r.Msg != 0 && seen[uint64(r.Msg)] {
				report(fmt.Errorf("campaign %s has message %s twice", c.Name, r.Msg))
			}
			seen[uint64(r.Msg)] = true
		}
	}
	if n != c.Recipients || pages != c.Pages {
		report(fmt.Errorf("campaign %s has %d recipients on %d pages, its list %d on %d", c.Name, c.Recipients, c.Pages, n, pages))
	}
	if c.Handed < 0 || c.Handed+c.Refused > c.Recipients {
		report(fmt.Errorf("campaign %s has handed over %d and refused %d of %d", c.Name, c.Handed, c.Refused, c.Recipients))
	}
}
