package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// calendar is a salon: a notice for each event of a booking, and a reminder
// three hours before.
func (s *street) calendar(also ...a) {
	s.t.Helper()
	s.contact("Anna", "0612345678")
	for event, words := range map[string]string{
		"pending": "in aanvraag: {start}", "confirmed": "bevestigd: {start_day} {start_time}", "rejected": "helaas niet: {start}",
		"cancelled": "geannuleerd: {start}", "moved": "verplaatst van {old_start} naar {start}",
	} {
		s.template(event, words)
		s.do("PUT", "/rules/"+event, a{"on": a{"event": "booking." + event}, "template": event})
	}
	s.template("reminder", "Tot {start_time} bij {staff}")
	rule := a{"on": a{"event": "booking.reminder", "offset": "-PT3H"}, "template": "reminder"}
	for _, m := range also {
		for k, v := range m {
			rule[k] = v
		}
	}
	s.do("PUT", "/rules/reminder", rule)
}

func (s *street) book(id string, body a) a {
	s.t.Helper()
	if body["contact"] == nil && body["customer"] == nil {
		body["contact"] = "Anna"
	}
	return s.do("PUT", "/bookings/"+id, body)
}

// outcome finds what became of a notice.
func outcome(booked a, event string) string {
	for _, n := range booked["notices"].([]any) {
		if n.(a)["event"] == event {
			return fmt.Sprint(n.(a)["outcome"])
		}
	}
	return "none"
}

// Booking calendar: notices about appointments (field-notes §4.2).
func TestBooking(t *testing.T) {
	t.Run("six notices, each with its switch and its texts", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			s.do("PUT", "/templates/confirmed", a{"texts": a{"sms": a{"nl": "bevestigd: {start_day} {start_time}", "de": "bestätigt: {start_day} {start_time}"}}})
			s.do("PUT", "/rules/rejected", a{"on": a{"event": "booking.rejected"}, "template": "rejected", "off": true})
			s.book("k1", a{"start": "2026-11-25T14:30", "staff": "Els", "status": "pending"})
			s.later(3 * time.Minute)
			s.book("k1", a{"status": "confirmed"})
			s.later(time.Second)
			s.book("k1", a{"status": "moved", "start": "2026-11-25T15:30"})
			s.later(3 * time.Minute)
			s.book("k2", a{"customer": a{"id": "Bernd", "number": "+4915112345678", "language": "de"}, "start": "2026-11-27T09:00"})
			s.book("k3", a{"start": "2026-11-27T09:00", "status": "pending"})
			s.later(3 * time.Minute)
			if got := s.book("k3", a{"status": "rejected"}); outcome(got, "rejected") != "suppressed" {
				t.Errorf("%v", got["notices"])
			}
			s.until("2026-11-25T12:35")
			s.book("k1", a{"status": "cancelled"})
			s.later(time.Minute)
			s.phones("+31612345678 in aanvraag: 25-11-2026 14:30", "+31612345678 bevestigd: woensdag 25 november 14:30",
				"+31612345678 verplaatst van 25-11-2026 14:30 naar 25-11-2026 15:30", "+4915112345678 bestätigt: Freitag, 27. November 09:00",
				"+31612345678 in aanvraag: 27-11-2026 09:00", "+31612345678 Tot 15:30 bij Els", "+31612345678 geannuleerd: 25-11-2026 15:30")
		})
	})
	t.Run("e-mail has a switch of its own", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.template("mail", "x", a{"texts": a{"sms": a{"nl": "x"}, "email": a{"nl": "Bevestigd"}}})
			rule := a{"on": a{"event": "booking.confirmed"}, "template": "mail", "channel": "email"}
			s.refuses("PUT", "/rules/confirmed-mail", rule, "channel_not_here", "no e-mail")
		})
	})
	t.Run("confirmed plans the reminder, moved replaces it, cancelled deletes it", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			plans := func() (list []string) {
				for _, u := range s.do("GET", "/rules/reminder/upcoming", nil)["items"].([]any) {
					list = append(list, u.(a)["at"].(string))
				}
				return list
			}
			s.book("k1", a{"start": "2026-11-26T14:30"})
			if got := plans(); !slices.Equal(got, []string{"2026-11-26T11:30:00+01:00"}) {
				t.Errorf("%v", got)
			}
			s.book("k1", a{"status": "moved", "start": "2026-11-27T14:30"})
			if got := plans(); !slices.Equal(got, []string{"2026-11-27T11:30:00+01:00"}) {
				t.Errorf("%v", got)
			}
			s.book("k1", a{"status": "cancelled"})
			if got := plans(); len(got) != 0 {
				t.Errorf("%v", got)
			}
		})
	})
	t.Run("an older or repeated version is ignored", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			s.book("k1", a{"version": 3, "start": "2026-11-26T14:30"})
			for _, late := range []a{{"version": 2, "status": "cancelled"}, {"version": 3, "status": "cancelled"}} {
				if got := s.book("k1", late); got["ignored"] != true || got["status"] != "confirmed" {
					t.Errorf("%v", got)
				}
			}
			s.later(time.Minute)
			s.phones("+31612345678 bevestigd: donderdag 26 november 14:30")
		})
	})
	t.Run("several changes in two minutes give one notice", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			s.book("k1", a{"start": "2026-11-26T14:30", "status": "pending"})
			s.later(time.Minute)
			s.book("k1", a{"status": "confirmed"})
			s.later(time.Minute)
			for day := 27; day <= 29; day++ {
				s.book("k1", a{"status": "moved", "start": fmt.Sprintf("2026-11-%dT14:30", day)})
				s.later(30 * time.Second)
			}
			s.later(5 * time.Minute)
			s.phones("+31612345678 bevestigd: donderdag 26 november 14:30", "+31612345678 verplaatst van 26-11-2026 14:30 naar 29-11-2026 14:30")
			// Moved and moved back: the customer knows nothing else.
			s.book("k1", a{"status": "moved", "start": "2026-11-30T14:30"})
			s.later(time.Minute)
			s.book("k1", a{"status": "moved", "start": "2026-11-29T14:30"})
			s.later(5 * time.Minute)
			if n := len(s.got()); n != 2 {
				t.Errorf("moved and moved back said %q", s.got()[2:])
			}
		})
	})
	t.Run("a reminder's window, else the evening before", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar(a{"not_before": "08:00", "not_after": "21:00", "margin": "PT1H"})
			s.book("early", a{"start": "2026-11-25T10:30", "staff": "Els"}) // due 07:30, goes at 08:00
			s.book("dawn", a{"start": "2026-11-26T08:30", "staff": "Jan"})  // due 05:30, at 08:00 too near: the evening before
			s.until("2026-11-25T07:59")
			s.phones("+31612345678 bevestigd: woensdag 25 november 10:30", "+31612345678 bevestigd: donderdag 26 november 08:30")
			s.until("2026-11-25T08:01")
			if got := s.got(); !slices.Contains(got, "+31612345678 Tot 10:30 bij Els") {
				t.Errorf("%q", got)
			}
			s.until("2026-11-25T21:01")
			if got := s.got(); !slices.Contains(got, "+31612345678 Tot 08:30 bij Jan") {
				t.Errorf("%q", got)
			}
		})
		// With one end only the evening before is an evening all the same.
		for _, one := range []struct {
			window a
			start  string
		}{
			{a{"not_before": "08:00"}, "2026-11-26T05:00"}, // due 02:00
			{a{"not_after": "21:00"}, "2026-11-26T02:30"},  // due 23:30 on the 25th
		} {
			onStreet(t, func(s *street) {
				s.calendar(one.window)
				s.book("dawn", a{"start": one.start, "staff": "Jan"})
				s.until("2026-11-25T20:59")
				if n := len(s.got()); n != 1 {
					t.Errorf("%v: %q", one.window, s.got())
				}
				s.until("2026-11-25T21:01")
				if got := s.got(); len(got) != 2 {
					t.Errorf("%v: %q", one.window, got)
				}
			})
		}
	})
	t.Run("a booking made late", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			if got := s.book("k1", a{"start": "2026-11-24T12:00", "staff": "Els"}); outcome(got, "reminder") != "suppressed" {
				t.Errorf("%v", got["notices"])
			}
			s.calendar(a{"late": "now"})
			s.book("k2", a{"start": "2026-11-24T12:30", "staff": "Jan"})
			s.later(time.Minute)
			s.phones("+31612345678 bevestigd: dinsdag 24 november 12:00", "+31612345678 bevestigd: dinsdag 24 november 12:30", "+31612345678 Tot 12:30 bij Jan")
		})
	})
	t.Run("the shop's zone by its name, over the night of the clock", func(t *testing.T) {
		onStreetAt(t, "2027-03-27T09:00", func(s *street) {
			s.calendar()
			s.do("PUT", "/rules/reminder", a{"on": a{"event": "booking.reminder", "offset": "-P1D"}, "template": "reminder"})
			s.refuses("PUT", "/bookings/k0", a{"contact": "Anna", "start": "2027-03-28T02:30"}, "time_skipped", "from 03:00 on")
			s.refuses("PUT", "/bookings/k0", a{"contact": "Anna", "start": "2027-10-31T02:30"}, "time_twice")
			s.book("k1", a{"start": "2027-03-28T14:30", "staff": "Els"})
			up := s.do("GET", "/rules/reminder/upcoming", nil)["items"].([]any)
			if len(up) != 1 || up[0].(a)["at"] != "2027-03-27T14:30:00+01:00" { // 14:30 in winter
				t.Errorf("%v", up)
			}
		})
	})
	t.Run("the least that a simple system needs", func(t *testing.T) {
		onStreet(t, func(s *street) {
			m := s.do("POST", "/messages", a{"to": "0612345678", "text": "Tot 12 uur", "at": "2026-11-24T11:00:00+01:00"})
			n := s.do("POST", "/messages", a{"to": "0612345678", "text": "Tot 13 uur", "at": "2026-11-24T11:00:00+01:00"})
			if m["state"] != "scheduled" {
				t.Errorf("%v", m)
			}
			s.do("DELETE", "/messages/"+n["id"].(string), nil)
			s.until("2026-11-24T11:01")
			s.phones("+31612345678 Tot 12 uur")
		})
	})
	t.Run("replies, and the one that has not been here for long", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			s.template("terug", "Lang niet gezien, {voornaam}!")
			s.agrees("Anna", "marketing")
			s.do("PUT", "/rules/winback", a{"on": a{"event": "booking.reminder", "of": "end", "offset": "PT26H"}, "template": "terug", "class": "marketing"})
			s.book("k1", a{"start": "2026-11-24T14:00", "end": "2026-11-24T15:00", "staff": "Els"})
			s.later(time.Minute)
			s.replies("31612345678", "NEE, ik kan niet")
			in := s.do("GET", "/inbox", nil)["items"].([]any)
			if len(in) != 1 || in[0].(a)["text"] != "NEE, ik kan niet" || in[0].(a)["reply"] == nil {
				t.Errorf("%v", in)
			}
			s.until("2026-11-25T17:05")
			if got := s.got(); !slices.Contains(got, "+31612345678 Lang niet gezien, Anna!") {
				t.Errorf("%q", got)
			}
		})
	})
	t.Run("by dropped files", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.calendar()
			s.dropped(map[string]string{
				"afspraken.csv": "afspraak;klantnr;voornaam;mobiel;datum;tijd;status;medewerker\nk1;77;Bo;0687654321;24-11-2026;16:30;bevestigd;Els\nk2;78;Cas;0611112222;25-11-2026;09:00;bevestigd;Jan\n",
			}, func() {})
			s.dropped(map[string]string{
				"afspraken-2.csv": "afspraak;klantnr;datum;tijd;status\nk2;78;25-11-2026;09:00;geannuleerd\n",
			}, func() {
				s.until("2026-11-24T13:31")
				s.phones("+31687654321 bevestigd: dinsdag 24 november 16:30", "+31611112222 bevestigd: woensdag 25 november 09:00",
					"+31611112222 geannuleerd: 25-11-2026 09:00", "+31687654321 Tot 16:30 bij Els")
			})
		})
	})
}
