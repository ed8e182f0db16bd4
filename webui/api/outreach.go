package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// maxImport is a file of 100,000 contacts.
const maxImport = 64 << 20

// whole reads a list call: ?after and ?limit.
func pageOf(c *call, also ...string) (after string, n int, err error) {
	q := c.r.URL.Query()
	if err := only(q, append(also, "after", "limit")...); err != nil {
		return "", 0, err
	}
	n, err = limit(q, 100)
	return q.Get("after"), n, err
}

// listed answers one page.
func listed[T any](items []T, next string, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, wire.Page[T]{Items: append([]T{}, items...), Next: next})
}

// listOptOuts lists who wants no advertising.
func (a *API) listOptOuts(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	return listed(a.outreach.OptOuts(after, n))
}

// done answers a call that leaves nothing to show.
func done(err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, struct{}{})
}

// got answers one thing.
func got[T any](v *T, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, v)
}

// Contacts.

func (a *API) listContacts(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	return listed(a.outreach.Contacts(after, n))
}

func (a *API) getContact(c *call) (*reply, error) {
	return got(a.outreach.Contact(c.r.PathValue("id")))
}

func (a *API) putContact(c *call) (*reply, error) {
	var in reach.Contact
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.ID != "" && in.ID != c.r.PathValue("id") {
		return nil, refusal(http.StatusBadRequest, "one_of_two", "id", "the id in the body is another one than that of the path. Leave it out")
	}
	in.ID = c.r.PathValue("id")
	return got(a.outreach.PutContact(c.ctx, in))
}

func (a *API) deleteContact(c *call) (*reply, error) {
	return done(a.outreach.DeleteContact(c.ctx, c.r.PathValue("id")))
}

func (a *API) importContacts(c *call) (*reply, error) {
	in, err := c.contactImport()
	if err != nil {
		return nil, err
	}
	if in.Mode != "" && in.Mode != "update" && in.Mode != "replace" {
		return nil, refusal(http.StatusBadRequest, "unknown_value", "mode", fmt.Sprintf("%q is not known here. Use update or replace", in.Mode))
	}
	opt := outreach.Import{Replace: in.Mode == "replace", DryRun: in.DryRun, AllOrNothing: in.AllOrNothing, Columns: in.Columns, How: in.How, By: c.who.by}
	if len(in.Contacts) > 0 && in.CSV != "" {
		return nil, refusal(http.StatusBadRequest, "one_of_two", "csv", "contacts and csv are two ways to say one thing. Send one of them")
	}
	if in.CSV == "" {
		return got(a.outreach.ImportContacts(c.ctx, in.Contacts, opt))
	}
	f, err := outreach.ReadFile([]byte(in.CSV))
	if err != nil {
		return nil, err
	}
	return got(a.outreach.ImportFile(c.ctx, f, opt))
}

// contactImport reads the call: JSON, or the file itself with its options in
// the query.
func (c *call) contactImport() (in reach.ContactImport, err error) {
	if !c.isCSV() {
		return in, c.decode(&in)
	}
	q := c.r.URL.Query()
	if err := only(q, "mode", "dry_run", "all_or_nothing", "how", "columns"); err != nil {
		return in, err
	}
	raw, err := c.read()
	if err != nil {
		return in, err
	}
	in.CSV, in.Mode, in.How = string(raw), q.Get("mode"), q.Get("how")
	if in.DryRun, err = truth(q, "dry_run"); err != nil {
		return in, err
	}
	if in.AllOrNothing, err = truth(q, "all_or_nothing"); err != nil {
		return in, err
	}
	for pair := range strings.SplitSeq(q.Get("columns"), ",") {
		if column, field, ok := strings.Cut(pair, "="); ok {
			if in.Columns == nil {
				in.Columns = map[string]string{}
			}
			in.Columns[strings.TrimSpace(column)] = strings.TrimSpace(field)
		}
	}
	if strings.TrimSpace(in.CSV) == "" {
		return in, refusal(http.StatusBadRequest, "body_missing", "", "the file is empty. Send it as the body of the request")
	}
	return in, nil
}

func (c *call) isCSV() bool { return c.is("text/csv") }

// is says of what type the body is.
func (c *call) is(kind string) bool {
	given, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(given), kind)
}

// truth reads a query parameter that is true or false.
func truth(q url.Values, name string) (bool, error) {
	if q.Get(name) == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, refusal(http.StatusBadRequest, "wrong_type", name, name+" is true or false")
	}
	return v, nil
}

func (a *API) listConsents(c *call) (*reply, error) {
	if _, err := a.outreach.Contact(c.r.PathValue("id")); err != nil {
		return nil, err
	}
	list, err := a.outreach.Consents(c.r.PathValue("id"))
	return listed(list, "", err)
}

func (a *API) addConsent(c *call) (*reply, error) {
	var in reach.Consent
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.Seq, in.Contact, in.By, in.Noted = 0, c.r.PathValue("id"), c.who.by, time.Time{}
	return got(a.outreach.AddConsent(c.ctx, in))
}

func (a *API) listExclusions(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	return listed(a.outreach.Exclusions(after, n))
}

func (a *API) putExclusion(c *call) (*reply, error) {
	var in reach.Exclusion
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.ID, in.By = c.r.PathValue("id"), c.who.by
	return got(a.outreach.PutExclusion(c.ctx, in))
}

func (a *API) deleteExclusion(c *call) (*reply, error) {
	return done(a.outreach.DeleteExclusion(c.ctx, c.r.PathValue("id")))
}

// Templates.

func (a *API) listTemplates(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	list, next, err := a.outreach.Templates(after, n)
	out := make([]reach.Template, len(list))
	for i, t := range list {
		out[i] = reach.Template{StoredFields: t}
	}
	return listed(out, next, err)
}

// getTemplate answers a template, its history (?history=true), or one of its
// texts as plain text (?format=text&channel=sms&text=nl), for a person to keep.
func (a *API) getTemplate(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "history", "format", "channel", "text"); err != nil {
		return nil, err
	}
	name := c.r.PathValue("name")
	if old, err := truth(q, "history"); err != nil || old {
		if err != nil {
			return nil, err
		}
		list, err := a.outreach.TemplateHistory(name)
		out := make([]reach.Template, len(list))
		for i, t := range list {
			out[i] = reach.Template{StoredFields: t}
		}
		return listed(out, "", err)
	}
	t, err := a.outreach.Template(name)
	if err != nil {
		return nil, err
	}
	if q.Get("format") == "text" {
		channel := q.Get("channel")
		if channel == "" {
			channel = outreach.SMS
		}
		words, ok := t.Texts[channel][q.Get("text")]
		if !ok {
			return nil, refusal(http.StatusNotFound, "not_found", "text", fmt.Sprintf("the template %s has no text for %s in %q", name, channel, q.Get("text")))
		}
		return nil, c.plain("text/plain; charset=utf-8", name+".txt", words)
	}
	return a.told(t, nil)
}

// told adds which other templates say the same.
func (a *API) told(t *outreach.Stored, err error) (*reply, error) {
	if err != nil {
		return nil, err
	}
	same, err := a.outreach.SameText(t)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, reach.Template{StoredFields: *t, SameAs: same})
}

// plain writes an answer that is no JSON, to be kept under a name.
func (c *call) plain(kind, name, body string) error {
	h := c.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	h.Set("Cache-Control", "no-store")
	_, err := c.w.Write([]byte(body))
	if err != nil {
		return nil // the caller has gone
	}
	return nil
}

func (a *API) putTemplate(c *call) (*reply, error) {
	if c.is("text/plain") {
		return a.putText(c)
	}
	var in reach.Template
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.Name = c.r.PathValue("name")
	return a.told(a.outreach.PutTemplate(c.ctx, in.StoredFields, c.who.by))
}

// putText takes one text of a template as a text document, as getTemplate hands
// it out (?channel=sms&text=nl). What else the template says stays; a new one is
// a draft.
func (a *API) putText(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "channel", "text"); err != nil {
		return nil, err
	}
	raw, err := c.read()
	if err != nil {
		return nil, err
	}
	words, err := outreach.PlainText(raw)
	if err != nil {
		return nil, err
	}
	t, err := a.outreach.Template(c.r.PathValue("name"))
	if errors.Is(err, outreach.ErrNotFound) {
		t, err = &outreach.Stored{Name: c.r.PathValue("name"), Draft: true}, nil
	}
	if err != nil {
		return nil, err
	}
	channel := cmp.Or(q.Get("channel"), outreach.SMS)
	if t.Texts == nil {
		t.Texts = map[string]map[string]string{}
	}
	if t.Texts[channel] == nil {
		t.Texts[channel] = map[string]string{}
	}
	words = strings.ReplaceAll(words, "\r\n", "\n")
	t.Texts[channel][cmp.Or(q.Get("text"), a.cfg.Language)] = strings.TrimRight(words, "\n")
	return a.told(a.outreach.PutTemplate(c.ctx, *t, c.who.by))
}

func (a *API) deleteTemplate(c *call) (*reply, error) {
	return done(a.outreach.DeleteTemplate(c.ctx, c.r.PathValue("name"), c.who.by))
}

// Bookings.

func (a *API) listBookings(c *call) (*reply, error) {
	after, n, err := pageOf(c, "contact", "event")
	if err != nil {
		return nil, err
	}
	q := c.r.URL.Query()
	return listed(a.outreach.Bookings(q.Get("contact"), q.Get("event"), after, n))
}

func (a *API) getBooking(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "history"); err != nil {
		return nil, err
	}
	old, err := truth(q, "history")
	if err != nil {
		return nil, err
	}
	if old {
		list, err := a.outreach.BookingHistory(c.r.PathValue("id"))
		return listed(list, "", err)
	}
	return got(a.outreach.Booking(c.r.PathValue("id")))
}

func (a *API) putBooking(c *call) (*reply, error) {
	var in reach.BookingIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	b, err := a.booking(c.r.PathValue("id"), in)
	if err != nil {
		return nil, err
	}
	if in.Customer != nil && in.Contact != "" && in.Contact != in.Customer.ID {
		return nil, refusal(http.StatusBadRequest, "one_of_two", "customer", "contact and customer name two people. Send one of them")
	}
	return got(a.outreach.PutBookingOf(c.ctx, b, in.Customer, c.who.by))
}

// booking reads the times of a booking.
func (a *API) booking(id string, in reach.BookingIn) (b outreach.Booking, err error) {
	b = outreach.Booking{
		ID: id, Version: in.Version, Contact: in.Contact, Event: in.Event, Type: in.Type, Status: outreach.Status(in.Status),
		Service: in.Service, Place: in.Place, Staff: in.Staff, Attrs: in.Attributes, AutoReminder: in.AutoReminder,
	}
	for _, t := range []struct {
		field, value string
		into         *time.Time
	}{{"start", in.Start, &b.Start}, {"end", in.End, &b.End}} {
		if t.value == "" {
			continue
		}
		if *t.into, err = outreach.Moment(t.field, t.value, in.Fold, a.cfg.Location); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (a *API) deleteBooking(c *call) (*reply, error) {
	return done(a.outreach.DeleteBooking(c.ctx, c.r.PathValue("id"), c.who.by))
}

// Rules.

func (a *API) listRules(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	return listed(a.outreach.Rules(after, n))
}

func (a *API) getRule(c *call) (*reply, error) { return got(a.outreach.Rule(c.r.PathValue("name"))) }

func (a *API) putRule(c *call) (*reply, error) {
	var in reach.Rule
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.Name = c.r.PathValue("name")
	return got(a.outreach.PutRule(c.ctx, in, c.who.by))
}

func (a *API) deleteRule(c *call) (*reply, error) {
	return done(a.outreach.DeleteRule(c.ctx, c.r.PathValue("name"), c.who.by))
}

// upcoming says what a rule will do in the next days (?days, 7).
func (a *API) upcoming(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "days"); err != nil {
		return nil, err
	}
	days := 7
	if s := q.Get("days"); s != "" {
		var err error
		if days, err = strconv.Atoi(s); err != nil || days < 1 || days > 366 {
			return nil, refusal(http.StatusBadRequest, "out_of_range", "days", "days must be a number from 1 to 366")
		}
	}
	list, err := a.outreach.Upcoming(c.r.PathValue("name"), a.queue.Now().AddDate(0, 0, days))
	return listed(list, "", err)
}

// forbidden is the API's word for what a key may not change.
func forbidden(err error) (*wire.Problem, bool) {
	if e, ok := errors.AsType[*outreach.Forbidden](err); ok {
		return refusal(http.StatusForbidden, "not_yours", "", e.Detail), true
	}
	return nil, false
}
