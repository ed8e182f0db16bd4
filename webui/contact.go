package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// One contact: what is known, what may be sent, what was sent and will be.

const (
	contactMessages = 10 // shown on the page of one contact
	contactComing   = 20
	comingDays      = 90
	contactBookings = 20
)

// contactView is the page of one contact.
type contactView struct {
	*page
	At      string // address
	Contact *outreach.Contact
	Name    string
	Facts   [][2]string
	Attrs   [][2]string
	Flags   []flagView

	Standing  []badgeView
	Exclusion *outreach.Exclusion
	Ended     bool
	OptedOut  string // since when; empty: advertising may go to the number
	Holds     []holdsView
	Ledger    []consentRow

	Talk     string // address of the conversation; empty: nothing came in
	Messages []rowView
	Coming   []comingView
	Bookings []bookingRow

	Say   sayView // the form for a new line of the ledger
	Why   string  // as typed, for the exclusion list
	Wrong string
	Field string // what is wrong
}

type flagView struct {
	Name, Word string
	On         bool
}

// holdsView is a purpose and what holds for it.
type holdsView struct {
	Purpose string
	Granted bool
}

// consentRow is a line of the ledger.
type consentRow struct {
	At, Purpose, Channel, How, Wording, By string
	Granted                                bool
}

// comingView is a message that a rule will write.
type comingView struct {
	At, Rule, Booking, Why string
}

// bookingRow is a booking of the contact.
type bookingRow struct {
	Link, ID, At, What, Status string
}

// sayView is what was typed of a consent.
type sayView struct {
	Purpose, Channel, At, How, Wording string
	No                                 bool // it is withdrawn
}

// Table of the messages.
func (v *contactView) Table() tableView { return tableView{page: v.page, Rows: v.Messages} }

// Elsewhere is what is wrong with no field that has a place for it.
func (v *contactView) Elsewhere() string {
	switch v.Field {
	case "purpose", "how", "at", "wording", "reason":
		return ""
	}
	return v.Wrong
}

func (s *Site) contact(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readContact(s.customers(r, "contacts"), r.PathValue("id"))
	if err == nil {
		v.Say.Purpose, v.Say.No = outreach.Marketing, r.URL.Query().Has("withdraw")
		if p := r.URL.Query().Get("withdraw"); p != "" {
			v.Say.Purpose = p
		}
	}
	s.show(w, r, "contact", v, err)
}

func (s *Site) readContact(p *page, id string) (*contactView, error) {
	c, err := s.outreach.Contact(id)
	if err != nil {
		return nil, err
	}
	p.Path = contactAt(id)
	v := &contactView{page: p, At: p.Path, Contact: c, Name: called(c)}
	v.facts()
	for _, read := range []func() error{v.readStanding, v.readLedger, v.readMessages, v.readComing, v.readBookings} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// facts are the fields that have a value, and the attributes.
func (v *contactView) facts() {
	c := v.Contact
	lang := languageNames[c.Language]
	for _, f := range [][2]string{
		{"f_id", c.ID}, {"f_number", v.number(c.Number)}, {"f_email", c.Email}, {"f_first_name", c.FirstName}, {"f_last_name", c.LastName},
		{"language", lang}, {"f_birthday", c.Birthday}, {"f_status", c.Status},
	} {
		if f[1] != "" {
			v.Facts = append(v.Facts, [2]string{v.T(f[0]), f[1]})
		}
	}
	for _, name := range sortedNames(c.Attrs) {
		v.Attrs = append(v.Attrs, [2]string{name, c.Attrs[name].String()})
	}
	v.Flags = v.flags(c)
}

// flags of a contact. The one for reminders is always there to be switched.
func (p *page) flags(c *outreach.Contact) []flagView {
	list := []flagView{{outreach.FlagReminder, p.T("flag_reminder"), c.Flags[outreach.FlagReminder]}}
	for _, name := range sortedNames(c.Flags) {
		if name != outreach.FlagReminder {
			list = append(list, flagView{name, name, c.Flags[name]})
		}
	}
	return list
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (v *contactView) readStanding() error {
	st, err := v.site.outreach.Standing(v.Contact.ID)
	if err != nil {
		return err
	}
	v.Standing, v.Exclusion, v.Ended = v.standing(st), st.Exclusion, st.Ended && st.Exclusion == nil
	if !st.OptedOut.IsZero() {
		v.OptedOut = v.Clock(st.OptedOut)
	}
	for _, purpose := range sortedNames(st.Consents) {
		v.Holds = append(v.Holds, holdsView{purpose, st.Consents[purpose]})
	}
	return nil
}

func (v *contactView) readLedger() error {
	list, err := v.site.outreach.Consents(v.Contact.ID)
	for _, c := range slices.Backward(list) {
		channel := v.T("channel_both")
		if c.Channel != "" {
			channel = v.T("channel_" + c.Channel)
		}
		v.Ledger = append(v.Ledger, consentRow{
			At: v.Clock(c.At), Purpose: v.Purpose(c.Purpose), Channel: channel, How: c.How, Wording: c.Wording, By: v.by(c.By), Granted: c.Granted,
		})
	}
	return err
}

// Purpose in words: the one that all know has a name in every language.
func (p *page) Purpose(name string) string {
	if name == outreach.Marketing {
		return p.T("purpose_marketing")
	}
	return name
}

func (v *contactView) readMessages() error {
	number := v.Contact.Number
	if number == "" {
		return nil
	}
	list, _, err := v.site.queue.List(queue.Filter{To: number, Limit: contactMessages})
	if err != nil {
		return err
	}
	for _, m := range list {
		v.Messages = append(v.Messages, v.row(m))
	}
	theirs, _, err := v.site.queue.Inbox(0, talkLook)
	i := slices.IndexFunc(theirs, func(in queue.Inbound) bool { return in.From == number })
	if i >= 0 {
		v.Talk = "/inbox/" + itoa(theirs[i].Seq)
	}
	return err
}

func (v *contactView) readComing() error {
	list, err := v.site.outreach.UpcomingFor(v.Contact.ID, v.site.queue.Now().AddDate(0, 0, comingDays))
	for _, c := range list[:min(len(list), contactComing)] {
		v.Coming = append(v.Coming, comingView{At: v.Clock(c.At), Rule: c.Rule, Booking: c.Booking, Why: c.Why})
	}
	return err
}

func (v *contactView) readBookings() error {
	list, _, err := v.site.outreach.Bookings(v.Contact.ID, "", "", contactBookings)
	for _, b := range list {
		row := bookingRow{Link: "/bookings/" + url.PathEscape(b.ID), ID: b.ID, What: b.Service, Status: v.T("booking_" + string(b.Status))}
		if row.What == "" {
			row.What = strings.TrimSpace(b.Type + " " + b.Event)
		}
		if !b.Start.IsZero() {
			row.At = v.Clock(b.Start)
		}
		v.Bookings = append(v.Bookings, row)
	}
	return err
}

// refuseOn draws the page of a contact again, with what is wrong with a form
// on it.
func (s *Site) refuseOn(w http.ResponseWriter, r *http.Request, err error, typed func(*contactView)) {
	p := s.customers(r, "contacts")
	field, said, known := p.refusal(err)
	if !known {
		s.show(w, r, "contact", nil, err)
		return
	}
	v, err := s.readContact(p, r.PathValue("id"))
	if err != nil {
		s.show(w, r, "contact", nil, err)
		return
	}
	typed(v)
	v.Field, v.Wrong = field, said
	s.render(w, http.StatusBadRequest, "contact", v)
}

// addConsent writes a line into the ledger.
func (s *Site) addConsent(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, id := r.PostForm, r.PathValue("id")
	said := sayView{
		Purpose: strings.TrimSpace(f.Get("purpose")), Channel: f.Get("channel"), At: f.Get("at"), How: strings.TrimSpace(f.Get("how")),
		Wording: strings.TrimSpace(f.Get("wording")), No: f.Get("granted") == "no",
	}
	p := s.customers(r, "contacts")
	line := outreach.Consent{Contact: id, Purpose: said.Purpose, Channel: said.Channel, Granted: !said.No, How: said.How, Wording: said.Wording, By: p.till()}
	var err error
	if said.At != "" {
		if line.At, err = time.ParseInLocation("2006-01-02T15:04", said.At, s.cfg.Location); err != nil {
			err = &queue.Invalid{Field: "at", Code: "date_invalid", Detail: p.T("bad_date_invalid")}
		}
	}
	if err == nil {
		_, err = s.outreach.AddConsent(r.Context(), line)
	}
	if err != nil {
		s.refuseOn(w, r, err, func(v *contactView) { v.Say = said })
		return
	}
	http.Redirect(w, r, contactAt(id)+"#consents", http.StatusSeeOther)
}

// exclude keeps a contact out of everything, or lets it in again.
func (s *Site) exclude(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id := r.PathValue("id")
	c, err := s.outreach.Contact(id)
	why := strings.TrimSpace(r.PostForm.Get("reason"))
	switch {
	case err != nil:
	case r.PostForm.Get("do") == "off":
		err = s.outreach.DeleteExclusion(r.Context(), id)
		if errors.Is(err, outreach.ErrNotFound) {
			err = nil // somebody else was quicker
		}
	default:
		_, err = s.outreach.PutExclusion(r.Context(), outreach.Exclusion{ID: id, Number: c.Number, Reason: why, By: s.page(r, "").till()})
	}
	if err != nil {
		s.refuseOn(w, r, err, func(v *contactView) { v.Why = why })
		return
	}
	http.Redirect(w, r, contactAt(id)+"#out", http.StatusSeeOther)
}

// exportContact hands out all that is known of a person (GDPR article 15): for
// one with a number the API's own answer, which has the messages too.
func (s *Site) exportContact(w http.ResponseWriter, r *http.Request) {
	about, err := s.outreach.About(r.PathValue("id"))
	if err != nil {
		s.show(w, r, "contact", nil, err)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="about-one-person.json"`)
	w.Header().Set("Cache-Control", "no-store")
	if number := about.Contacts[0].Number; number != "" {
		s.asOperator(w, r, "/export", wire.Person{Number: number})
		return
	}
	s.log.Info("what is known of a person was exported", "by", s.page(r, "").till())
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(wire.About{Messages: []wire.Message{}, Inbound: []wire.Inbound{}, Others: about}) // fails when the browser has gone
}

// asOperator lets the API answer, in the name of who has logged in.
func (s *Site) asOperator(w http.ResponseWriter, r *http.Request, path string, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	again, err := http.NewRequestWithContext(r.Context(), http.MethodPost, api.Prefix+path, bytes.NewReader(raw))
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	again.Header.Set("Content-Type", "application/json")
	s.API.As(s.page(r, "").till()).ServeHTTP(w, again)
}

// eraseView asks whether somebody is to be forgotten, and says what stays.
type eraseView struct {
	*page
	At, Name string
	Number   string
	Others   []string // who has the same number and goes too
	Excluded bool
	OptedOut bool
	Wrong    string
}

func (s *Site) askErase(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readErase(s.customers(r, "contacts"), r.PathValue("id"))
	s.show(w, r, "contact-erase", v, err)
}

func (s *Site) readErase(p *page, id string) (*eraseView, error) {
	c, err := s.outreach.Contact(id)
	if err != nil {
		return nil, err
	}
	p.Path = contactAt(id) + "/erase"
	v := &eraseView{page: p, At: contactAt(id), Name: called(c), Number: p.number(c.Number)}
	others, err := s.outreach.Namesakes(c)
	if err != nil {
		return nil, err
	}
	for i := range others {
		v.Others = append(v.Others, called(&others[i]))
	}
	st, err := s.outreach.Standing(id)
	if err != nil {
		return nil, err
	}
	v.Excluded, v.OptedOut = st.Exclusion != nil, !st.OptedOut.IsZero()
	return v, nil
}

// erase forgets a person (GDPR article 17).
func (s *Site) erase(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := s.customers(r, "contacts")
	id := r.PathValue("id")
	v, err := s.readErase(p, id)
	if err != nil {
		s.show(w, r, "contact-erase", nil, err)
		return
	}
	if r.PostForm.Get("sure") != "yes" {
		v.Wrong = p.T("erase_sure_wrong")
		s.render(w, http.StatusBadRequest, "contact-erase", v)
		return
	}
	c, err := s.outreach.Contact(id)
	if err == nil {
		if c.Number == "" {
			err = s.outreach.EraseContact(r.Context(), id)
		} else {
			_, err = s.queue.Erase(r.Context(), c.Number, p.till())
		}
	}
	if err != nil {
		s.show(w, r, "contact-erase", nil, err)
		return
	}
	s.log.Info("a person was erased", "by", p.till())
	http.Redirect(w, r, "/contacts?erased", http.StatusSeeOther)
}
