package webui

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/lamp"
)

// Pages about customers share one entry of the menu, and a row below it: who
// they are (contacts.go, contact.go, contact_form.go, contact_import.go), what
// is written to them (texts.go), and what makes that happen.

// customersPages in the order in which they are named. The address is the name.
var customersPages = []string{"contacts", "texts", "campaigns", "bookings", "rules"}

// CustomersPages are for the row.
func (p *page) CustomersPages() []string { return customersPages }

// customers begins the answer of one of them.
func (s *Site) customers(r *http.Request, at string) *page {
	p := s.page(r, "customers")
	p.Sub, p.Live, p.Lamp = at, "strip", p.lamp(lamp.Look(s.queue, s.db))
	return p
}

// contactRoutes are the addresses of contacts. One contact stands below
// /contact/, so that a customer number may be any word.
func (s *Site) contactRoutes(inside func(pattern string, h http.HandlerFunc)) {
	inside("GET /contacts", s.contacts)
	inside("GET /contacts/new", s.newContact)
	inside("POST /contacts/new", s.addContact)
	inside("GET /contacts/import", s.askList)
	inside("POST /contacts/import", s.bringList)
	inside("GET /contacts/import/{token}", s.showList)
	inside("POST /contacts/import/{token}", s.actOnList)
	inside("GET /contacts/import/{token}/refused.csv", s.refusedFile)
	inside("GET /contact/{id}", s.contact)
	inside("GET /contact/{id}/edit", s.editContact)
	inside("POST /contact/{id}/edit", s.saveContact)
	inside("POST /contact/{id}/consents", s.addConsent)
	inside("POST /contact/{id}/exclusion", s.exclude)
	inside("POST /contact/{id}/export", s.exportContact)
	inside("GET /contact/{id}/erase", s.askErase)
	inside("POST /contact/{id}/erase", s.erase)
}

// called is how a person speaks of a contact.
func called(c *outreach.Contact) string {
	return cmp.Or(c.Name, strings.TrimSpace(c.FirstName+" "+c.LastName), c.ID)
}

// refusal tells in the language of the page what a form may not say, and about
// which of its fields; known is false for errors that are no refusal.
func (p *page) refusal(err error) (field, said string, known bool) {
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		return bad.Field, p.refusedFor(bad.Code, bad.Detail), true
	}
	if bad, ok := errors.AsType[*outreach.Forbidden](err); ok {
		return "", bad.Detail, true
	}
	return "", "", false
}

// refusedFor is the sentence for a code; where the page has none, what the
// queue says.
func (p *page) refusedFor(code, detail string) string {
	if _, ok := words()["bad_"+code]; ok {
		return p.T("bad_" + code)
	}
	return detail
}

// whys are the reasons for which outreach writes to somebody not, as it says
// them, and the words of the page for each.
var whys = []struct{ before, after, key string }{
	{"is on the exclusion list: ", "", "why_excluded"},
	{"has the status ", "", "why_status"},
	{"there is no consent on record", "", "why_no_consent_at_all"},
	{"there is no consent for ", "", "why_no_consent"},
	{"consent for ", " was withdrawn", "why_withdrawn"},
	{"consent for ", " is among those that must not be given", "why_must_not"},
	{"has no e-mail address", "", "why_no_address"},
	{"has no number", "", "why_no_number"},
	{"", " is off", "why_off"},
	{"is not among those the rule is for", "", "why_not_meant"},
	{"the contact is gone", "", "why_gone"},
	{"without the values that are missing no sentence is left", "", "why_nothing_left"},
	{"is on the exclusion list", "", "why_kept_out"},
	{"the number is missing: ", "", "why_numberless"},
	{"", " is a landline", "why_landline"},
	{"this customer does not want advertising ", "", "why_opted_out"},
	{"there is no value for ", ". ", "why_no_value"},
	{"the booking is gone", "", "why_booking_gone"},
	{"the booking has no contact", "", "why_no_contact"},
	{"the booking has no lead time", "", "why_no_lead"},
	{"the booking is over", "", "why_over"},
	{"the booking is back where it was", "", "why_back"},
	{"the booking is ", "", "why_booking_is"},
	{"the template ", " is gone", "why_template_gone"},
	{"the notice is switched off", "", "why_notice_off"},
	{"was told before", "", "why_told"},
	{"it would have been due before now", "", "why_due_before"},
	{"it was too late to remind", "", "why_too_late"},
	{"the box was off when it was due", "", "why_box_off"},
	{"erased", "", "why_erased"},
	{"the event had begun", "", "why_event_begun"},
	{"the campaign was stopped", "", "why_campaign_stopped"},
}

// Reason tells in the language of the page why somebody is not written to.
// What it has no words for it says as outreach does.
func (p *page) Reason(why string) string {
	for _, w := range whys {
		rest, ok := strings.CutPrefix(why, w.before)
		if !ok {
			continue
		}
		if w.after != "" {
			rest, _, ok = strings.Cut(rest, w.after)
		}
		if !ok || w.before != "" && w.after == "" && !strings.HasSuffix(w.before, " ") && rest != "" {
			continue
		}
		if w.key == "why_booking_is" {
			rest = p.T("booking_" + rest)
		}
		switch rest {
		case outreach.Marketing:
			rest = p.T("purpose_marketing")
		case outreach.FlagReminder:
			rest = p.T("flag_reminder")
		}
		return p.T(w.key, "what", rest)
	}
	return why
}
