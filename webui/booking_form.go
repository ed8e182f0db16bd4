package webui

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// bookingForm is a booking or an event as a person fills it in.
type bookingForm struct {
	*page
	Was     string // id of the one that is changed; empty: a new one
	IsEvent bool
	Title   string
	Words   string // a customer's name, number or id
	Contact string // id of who was chosen
	Choices []contactChoice
	Event   string
	Type    string
	Service string
	Place   string
	Staff   string
	Start   string // as the browser writes it
	End     string
	Pending bool
	Remind  string // contact | yes | no
	ID      string
	Wrong   []string

	Events []eventView
	was    *outreach.Booking // of which what the form does not ask is kept
}

// contactChoice is one customer of several who may be meant.
type contactChoice struct{ ID, Name, Number string }

func (s *Site) newBookingForm(r *http.Request) (*bookingForm, error) {
	p := s.customers(r, "bookings")
	f := &bookingForm{page: p, Remind: "contact"}
	var err error
	f.Events, err = s.events(p)
	return f, err
}

func (s *Site) newBooking(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	f, err := s.newBookingForm(r)
	if err == nil {
		q := r.URL.Query()
		f.IsEvent, f.Contact, f.Event = q.Get("event") != "", q.Get("contact"), q.Get("of")
		f.Words = f.Contact
		if f.Contact != "" {
			f.Words = f.called(f.Contact)
		}
	}
	s.show(w, r, "booking-form", f, err)
}

func (s *Site) editBooking(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	f, err := s.newBookingForm(r)
	var b *outreach.Booking
	if err == nil {
		b, err = s.outreach.Booking(r.PathValue("id"))
	}
	if err == nil {
		f.fill(b)
	}
	s.show(w, r, "booking-form", f, err)
}

// fill shows a booking that is there.
func (f *bookingForm) fill(b *outreach.Booking) {
	f.was, f.Was, f.ID, f.Title = b, b.ID, b.ID, bookingTitle(b)
	f.IsEvent, f.Contact = b.Contact == "", b.Contact
	if b.Contact != "" {
		f.Words = f.called(b.Contact)
	}
	f.Event, f.Type, f.Service, f.Place, f.Staff = b.Event, b.Type, b.Service, b.Place, b.Staff
	if !b.Start.IsZero() {
		f.Start = f.in(b.Start).Format(fieldTime)
	}
	if !b.End.IsZero() {
		f.End = f.in(b.End).Format(fieldTime)
	}
	f.Pending = b.Status == outreach.Pending
	if on := b.AutoReminder; on != nil {
		f.Remind = map[bool]string{true: "yes", false: "no"}[*on]
	}
}

// Own: the booking says itself whether it is reminded of, which stays so.
func (f *bookingForm) Own() bool { return f.was != nil && f.was.AutoReminder != nil }

// Back is where the page leads if nothing is to be changed.
func (f *bookingForm) Back() string {
	if f.Was == "" {
		return "/bookings"
	}
	return "/bookings/" + url.PathEscape(f.Was)
}

func (s *Site) saveBooking(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := s.newBookingForm(r)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	if f.Was = r.PostForm.Get("was"); f.Was != "" {
		if f.was, err = s.outreach.Booking(f.Was); err != nil {
			s.show(w, r, "", nil, err)
			return
		}
		f.Title, f.Path = bookingTitle(f.was), f.Back()+"/edit"
	}
	f.read(r.PostForm)
	b, err := f.booking()
	if err == nil && len(f.Wrong) == 0 && len(f.Choices) == 0 {
		_, err = s.outreach.PutBooking(r.Context(), b, f.till())
	}
	if said, ok := f.wrongWith(err); err != nil && ok {
		f.Wrong = append(f.Wrong, said)
	} else if err != nil {
		s.trouble(w, f.page, err)
		return
	}
	if len(f.Wrong)+len(f.Choices) > 0 {
		s.render(w, http.StatusBadRequest, "booking-form", f)
		return
	}
	http.Redirect(w, r, "/bookings/"+url.PathEscape(b.ID), http.StatusSeeOther)
}

func (f *bookingForm) read(v url.Values) {
	get := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	f.IsEvent, f.Words, f.Contact = v.Get("is_event") != "", get("words"), v.Get("contact")
	f.Event, f.Type, f.Service, f.Place, f.Staff = v.Get("event"), get("type"), get("service"), get("place"), get("staff")
	f.Start, f.End, f.Pending, f.Remind = v.Get("start"), v.Get("end"), v.Get("pending") == "on", v.Get("remind")
	if f.ID = f.Was; f.ID == "" {
		f.ID = get("id")
	}
}

// booking in the terms of outreach; what only the page can know to be wrong
// goes to Wrong, and who may be meant to Choices.
func (f *bookingForm) booking() (b outreach.Booking, err error) {
	if f.was != nil {
		b = *f.was // what the form does not ask stays
	}
	b.Version, b.Event, b.Type, b.Service, b.Place, b.Staff = 0, f.Event, f.Type, f.Service, f.Place, f.Staff
	if b.ID = f.ID; b.ID == "" {
		b.ID = "hand-" + strings.ToLower(rand.Text()[:10])
	}
	if f.was == nil {
		if _, err := f.site.outreach.Booking(b.ID); err == nil {
			f.Wrong = append(f.Wrong, f.T("no_name_taken", "name", b.ID))
		} else if !errors.Is(err, queue.ErrNotFound) {
			return b, err
		}
		if b.Status = outreach.Confirmed; f.Pending {
			b.Status = outreach.Pending
		}
	}
	zone := f.site.cfg.Location
	for _, t := range []struct {
		field, typed string
		into         *time.Time
	}{{"start", f.Start, &b.Start}, {"end", f.End, &b.End}} {
		*t.into = time.Time{}
		if t.typed == "" {
			continue
		}
		if *t.into, err = outreach.Moment(t.field, t.typed, 0, zone); err != nil {
			return b, err
		}
	}
	on := f.Remind == "yes"
	if b.AutoReminder = nil; f.Remind == "yes" || f.Remind == "no" {
		b.AutoReminder = &on
	}
	if f.IsEvent || f.was != nil {
		return b, nil // whose it is stays
	}
	b.Contact, err = f.whose()
	return b, err
}

// whose booking it is: who was chosen, or the one customer whom the words mean.
func (f *bookingForm) whose() (id string, err error) {
	if f.Words == "" {
		f.Wrong = append(f.Wrong, f.T("bo_whose"))
		return "", nil
	}
	if f.Contact != "" && f.called(f.Contact) == f.Words {
		return f.Contact, nil
	}
	const most = 8
	who, err := f.site.outreach.Find(outreach.Search{Words: f.Words, Limit: most, Patience: findPatience})
	if err != nil {
		return "", err
	}
	for i := range who.List {
		c := &who.List[i].Contact
		if c.ID == f.Words || c.ID == f.Contact || len(who.List) == 1 {
			return c.ID, nil
		}
		f.Choices = append(f.Choices, contactChoice{ID: c.ID, Name: f.nameOf(c), Number: masked(cmp.Or(c.Number, "–"))})
	}
	if len(f.Choices) == 0 {
		f.Wrong = append(f.Wrong, f.T("no_such_contact", "what", f.Words))
	}
	return "", nil
}
