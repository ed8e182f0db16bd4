package webui

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Bookings: what customers have on which day, and what they were told and will
// be. An event is a booking without a customer, to which tickets belong.

// bookingsView is the list of a day or of some.
type bookingsView struct {
	*page
	Events  bool
	Span    string // day | week
	From    string // 2026-11-24
	Words   string // of a customer
	State   outreach.Status
	Days    []bookingDay
	Found   bool // it is a search, not a calendar
	Nobody  bool // no customer was found
	More    bool // there are more than are shown
	Earlier string
	Later   string
}

// bookingDay is one day with what it has.
type bookingDay struct {
	Name string
	Rows []diaryRow
}

// diaryRow is one booking in a list.
type diaryRow struct {
	At          string // address
	Clock       string
	Who, Number string
	What, Where string
	Sign, Word  string
	Cancelled   bool
	start       time.Time
}

// bookingSigns of each state.
var bookingSigns = map[outreach.Status]string{outreach.Pending: "unk", outreach.Confirmed: "ok", outreach.Rejected: "off", outreach.Cancelled: "off"}

// bookingStates to choose from.
var bookingStates = []outreach.Status{outreach.Pending, outreach.Confirmed, outreach.Rejected, outreach.Cancelled}

// States to choose from.
func (v *bookingsView) States() []outreach.Status { return bookingStates }

// At is the address of the same list with one thing changed.
func (v *bookingsView) At(name, value string) string {
	q := url.Values{}
	for key, is := range map[string]string{"from": v.From, "span": v.Span, "q": v.Words, "state": string(v.State)} {
		if is != "" {
			q.Set(key, is)
		}
	}
	if v.Events {
		q.Set("events", "1")
	}
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	return "/bookings?" + q.Encode()
}

// Today and Tomorrow as addresses have them.
func (v *bookingsView) Today() string    { return v.site.dayAfter(0).Format(time.DateOnly) }
func (v *bookingsView) Tomorrow() string { return v.site.dayAfter(1).Format(time.DateOnly) }

const mostBookings = 300 // on one page

func (s *Site) bookings(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readBookings(s.customers(r, "bookings"), r.URL.Query())
	s.show(w, r, "bookings", v, err)
}

func (s *Site) readBookings(p *page, q url.Values) (*bookingsView, error) {
	v := &bookingsView{page: p, Events: q.Get("events") != "", Span: q.Get("span"), Words: strings.TrimSpace(q.Get("q"))}
	if v.Span != "week" {
		v.Span = "day"
	}
	if st := outreach.Status(q.Get("state")); slices.Contains(bookingStates, st) {
		v.State = st
	}
	from, err := time.ParseInLocation(time.DateOnly, q.Get("from"), s.cfg.Location)
	if err != nil {
		from = s.dayAfter(0)
	}
	v.From = from.Format(time.DateOnly)
	if v.Words != "" {
		v.Found = true
		return v, v.find()
	}
	days := 1
	if v.Span == "week" {
		days = 7
	}
	day := func(n int) time.Time {
		return time.Date(from.Year(), from.Month(), from.Day()+n, 0, 0, 0, 0, s.cfg.Location)
	}
	v.Earlier, v.Later = v.At("from", day(-days).Format(time.DateOnly)), v.At("from", day(days).Format(time.DateOnly))
	list, more, err := s.outreach.Between(v.Events, from, day(days), mostBookings)
	if err != nil {
		return nil, err
	}
	v.More = more
	for n := range days {
		d := bookingDay{Name: p.dayName(day(n))}
		for i := range list {
			if b := &list[i]; !b.Start.Before(day(n)) && b.Start.Before(day(n+1)) && (v.State == "" || b.Status == v.State) {
				d.Rows = append(d.Rows, p.booking(b))
			}
		}
		if len(d.Rows) > 0 || days == 1 {
			v.Days = append(v.Days, d)
		}
	}
	return v, nil
}

// dayName is a day as people say it: today, tomorrow, or its date.
func (p *page) dayName(t time.Time) string {
	switch t {
	case p.site.dayAfter(0):
		return p.T("bo_today") + ", " + p.Day(t)
	case p.site.dayAfter(1):
		return p.T("bo_tomorrow") + ", " + p.Day(t)
	}
	return p.Day(t)
}

// find lists all that a customer has, the newest first.
func (v *bookingsView) find() error {
	const most = 20 // customers of that name
	who, err := v.site.outreach.Find(outreach.Search{Words: v.Words, Limit: most, Patience: findPatience})
	if err != nil {
		return err
	}
	v.Nobody = len(who.List) == 0
	var d bookingDay
	for i := range who.List {
		list, next, err := v.site.outreach.Bookings(who.List[i].ID, "", "", mostBookings)
		if err != nil {
			return err
		}
		v.More = v.More || next != ""
		for k := range list {
			if v.State == "" || list[k].Status == v.State {
				row := v.booking(&list[k])
				if !list[k].Start.IsZero() {
					row.Clock = v.dayClock(list[k].Start)
				}
				d.Rows = append(d.Rows, row)
			}
		}
	}
	slices.SortStableFunc(d.Rows, func(a, b diaryRow) int { return b.start.Compare(a.start) })
	if len(d.Rows) > 0 {
		v.Days = append(v.Days, d)
	}
	return nil
}

// findPatience is how long a person waits for a customer to be found.
const findPatience = 2 * time.Second

// booking is one row.
func (p *page) booking(b *outreach.Booking) diaryRow {
	row := diaryRow{
		At: "/bookings/" + url.PathEscape(b.ID), What: bookingTitle(b), Where: strings.Join(filled(b.Place, b.Staff), ", "),
		Sign: bookingSigns[b.Status], Word: capital(p.T("booking_" + string(b.Status))), Cancelled: b.Status == outreach.Cancelled || b.Status == outreach.Rejected, start: b.Start,
	}
	if row.Clock = "–"; !b.Start.IsZero() {
		row.Clock = p.in(b.Start).Format("15:04")
	}
	if b.Contact == "" {
		return row
	}
	row.Who = b.Contact
	if c, err := p.site.outreach.Contact(b.Contact); err == nil {
		row.Who, row.Number = p.nameOf(c), masked(c.Number)
	}
	return row
}

// filled are those that say something.
func filled(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// bookingView is the page of one.
type bookingView struct {
	*page
	*outreach.Booking
	Title    string
	When     string
	Sign     string
	Word     string
	Whose    string
	Number   string
	Contacts string // address of the customer
	Of       string // title of its event
	OfAt     string // address of that
	Facts    [][2]string
	Told     []toldView
	Switches []switchView
	Versions []versionView
	Tickets  []diaryRow
	More     bool // tickets that are not shown
	Runs     []campaignRow
	Wrong    string
	Doing    string
	Address  string
}

// toldView is one message about a booking.
type toldView struct {
	When, What string
	Channel    string
	Sign, Word string
	Why        string
	Msg        string // id
	Rule       string // name
	RuleAt     string
}

// switchView is one notice with its switch for each channel.
type switchView struct {
	What     string
	Channels []channelSwitch
}

// channelSwitch is one of them; without a name there is no rule for it.
type channelSwitch struct {
	Channel, Name, At string
	On                bool
}

// versionView is what a booking was.
type versionView struct {
	N                 int
	When, Word, Since string
}

func (s *Site) showBooking(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readBooking(s.customers(r, "bookings"), r.PathValue("id"))
	s.show(w, r, "booking", v, err)
}

func (s *Site) readBooking(p *page, id string) (*bookingView, error) {
	b, err := s.outreach.Booking(id)
	if err != nil {
		return nil, err
	}
	at := "/bookings/" + url.PathEscape(id)
	p.Path, p.Live = at, "booking/"+id
	v := &bookingView{page: p, Booking: b, Title: bookingTitle(b), Sign: bookingSigns[b.Status], Word: capital(p.T("booking_" + string(b.Status))), Address: at}
	v.When = p.period(b)
	if b.Contact != "" {
		v.Whose, v.Contacts = b.Contact, contactAt(b.Contact)
		if c, err := s.outreach.Contact(b.Contact); err == nil {
			v.Whose, v.Number = p.nameOf(c), p.number(c.Number)
		}
	}
	if b.Event != "" {
		v.Of, v.OfAt = b.Event, "/bookings/"+url.PathEscape(b.Event)
		if event, err := s.outreach.Booking(b.Event); err == nil {
			v.Of = bookingTitle(event)
			if b.Start.IsZero() {
				v.When = p.period(event)
			}
		}
	}
	v.facts()
	for _, read := range []func() error{v.readTold, v.readVersions, v.readHanging} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// period is from when to when a booking is.
func (p *page) period(b *outreach.Booking) string {
	if b.Start.IsZero() {
		return p.T("bo_no_start")
	}
	said := p.Day(b.Start) + " " + p.in(b.Start).Format("15:04")
	switch {
	case b.End.IsZero():
		return said
	case p.in(b.End).Format(time.DateOnly) == p.in(b.Start).Format(time.DateOnly):
		return said + " – " + p.in(b.End).Format("15:04")
	}
	return said + " – " + p.Day(b.End) + " " + p.in(b.End).Format("15:04")
}

func (v *bookingView) facts() {
	add := func(key, value string) {
		if value != "" {
			v.Facts = append(v.Facts, [2]string{v.T(key), value})
		}
	}
	add("bo_type", v.Type)
	add("bo_service", v.Service)
	add("bo_place", v.Place)
	add("bo_staff", v.Staff)
	for _, name := range slices.Sorted(maps.Keys(v.Attrs)) {
		v.Facts = append(v.Facts, [2]string{name, v.Attrs[name].String()})
	}
	if on := v.AutoReminder; on != nil {
		add("bo_reminder", v.T(map[bool]string{true: "bo_reminder_on", false: "bo_reminder_off"}[*on]))
	}
	if !v.OldStart.IsZero() {
		add("bo_before", v.dayClock(v.OldStart))
	}
	add("bo_number", v.ID)
}

// readTold is what the customer was told and will be, and what could be.
func (v *bookingView) readTold() error {
	list, err := v.site.outreach.Told(v.ID)
	if err != nil {
		return err
	}
	for i := range list {
		// A notice whose moment has not come is told of by its switch.
		if t := &list[i]; !t.At.IsZero() || t.Why != "" && t.Event == notices[len(notices)-1] {
			v.Told = append(v.Told, v.told(t))
		}
	}
	for _, event := range notices {
		row := switchView{What: v.T("bn_" + event)}
		for _, channel := range []string{outreach.SMS, outreach.Email} {
			is := channelSwitch{Channel: v.T("channel_" + channel)}
			for i := range list {
				if t := &list[i]; t.Event == event && t.Channel == channel && (is.Name == "" || !t.Off) {
					is.Name, is.At, is.On = t.Rule, "/rules/"+url.PathEscape(t.Rule), !t.Off
				}
			}
			row.Channels = append(row.Channels, is)
		}
		v.Switches = append(v.Switches, row)
	}
	return nil
}

// notices of a booking, in the order of its life.
var notices = []string{"pending", "confirmed", "rejected", "moved", "cancelled", "reminder"}

func (v *bookingView) told(t *outreach.Told) toldView {
	out := toldView{What: v.T("bn_" + t.Event), Channel: v.T("channel_" + t.Channel), Rule: t.Rule, RuleAt: "/rules/" + url.PathEscape(t.Rule), Why: v.Why(t.Why)}
	if !t.At.IsZero() {
		out.When = v.dayClock(t.At)
	}
	switch {
	case t.Planned && t.Why == "":
		out.Sign, out.Word = "planned", v.T("ru_will")
	case t.Msg == 0:
		out.Sign, out.Word = "off", v.T("ru_will_not")
		if !t.Planned && !t.At.IsZero() {
			out.Word = v.T("bo_left_out")
		}
	default:
		out.Msg, out.Sign, out.Word = t.Msg.String(), "sent", v.T("bo_written")
		if m, err := v.site.queue.Get(t.Msg); err == nil {
			out.Sign, out.Word = signOf[m.State], v.T("st_"+string(m.State))
		} else {
			out.Msg = ""
		}
		if t.Gone {
			out.Sign, out.Word = "off", v.T("bo_taken_back")
		}
	}
	return out
}

func (v *bookingView) readVersions() error {
	list, err := v.site.outreach.BookingHistory(v.ID)
	for i := range list {
		b := &list[i]
		v.Versions = append(v.Versions, versionView{N: b.Version, When: v.period(b), Word: capital(v.T("booking_" + string(b.Status))), Since: v.Clock(b.Updated)})
	}
	return err
}

// readHanging is what hangs on an event: tickets, and campaigns that it times.
func (v *bookingView) readHanging() error {
	if v.Contact != "" {
		return nil
	}
	list, next, err := v.site.outreach.Bookings("", v.ID, "", 100)
	if err != nil {
		return err
	}
	for i := range list {
		v.Tickets = append(v.Tickets, v.booking(&list[i]))
	}
	v.More = next != ""
	all, err := v.site.allCampaigns(outreach.KindCampaign)
	for i := range all {
		if all[i].When.Event == v.ID {
			v.Runs = append(v.Runs, v.campaignRow(&all[i]))
		}
	}
	return err
}

// actOnBooking does what a button says.
func (s *Site) actOnBooking(w http.ResponseWriter, r *http.Request) {
	p, id := s.customers(r, "bookings"), r.PathValue("id")
	back := "/bookings/" + url.PathEscape(id)
	var err error
	switch act := r.PathValue("act"); act {
	case "confirm":
		_, err = s.changeBooking(r, id, outreach.Confirmed, p.till())
	case "reject":
		_, err = s.changeBooking(r, id, outreach.Rejected, p.till())
	case "cancel":
		_, err = s.changeBooking(r, id, outreach.Cancelled, p.till())
	case "delete":
		back = "/bookings"
		err = s.outreach.DeleteBooking(r.Context(), id, p.till())
	default:
		err = queue.ErrNotFound
	}
	s.acted(w, r, p, err, back, "booking", func(wrong string) (any, error) {
		v, err := s.readBooking(p, id)
		if err == nil {
			v.Wrong = wrong
		}
		return v, err
	})
}

func (s *Site) changeBooking(r *http.Request, id string, to outreach.Status, by string) (*outreach.Booked, error) {
	b, err := s.outreach.Booking(id)
	if err != nil {
		return nil, err
	}
	b.Status, b.Version = to, 0
	return s.outreach.PutBooking(r.Context(), *b, by)
}

// confirmBooking asks once more before something that customers hear of, or
// that cannot be undone.
func (s *Site) confirmBooking(doing string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.readBooking(s.customers(r, "bookings"), r.PathValue("id"))
		if err == nil {
			v.Doing, v.Live, v.Path = doing, "strip", v.Path+"/"+doing
		}
		s.show(w, r, "booking-confirm", v, err)
	}
}

// Tells: some notice of an event is switched on.
func (v *bookingView) Tells(event string) bool {
	i := slices.Index(notices, event)
	return i >= 0 && slices.ContainsFunc(v.Switches[i].Channels, func(c channelSwitch) bool { return c.On })
}
