package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tillpost/queue/outreach"
)

// Ticketing: messages for each event (field-notes §4.1).
func TestTicketing(t *testing.T) {
	t.Run("one call with everything", func(t *testing.T) {
		onStreet(t, func(s *street) {
			got := s.do("POST", "/batches", a{
				"recipients": []a{
					{"to": "06-12345678", "lang": "nl", "vars": a{"naam": "Anna"}, "ref": "order-1", "consents": []string{"nieuws"}},
					{"to": "+4915112345678", "lang": "de", "vars": a{"naam": "Bernd"}, "ref": "order-2", "consents": []string{"nieuws"}},
					{"to": "0611112222", "vars": a{"naam": "Cees"}, "consents": []string{"nieuws", "geen sms"}},
					{"to": "0622223333", "vars": a{"naam": "Dora"}},
				},
				"texts":       a{"nl": "Dag #NAAM#! # CUSTOMTEXT #", "de": "Hallo [NAAM]! #CUSTOMTEXT#"},
				"custom_text": "De deuren gaan om 19 uur open.",
				"class":       "marketing",
				"consent":     a{"require_all": []string{"nieuws"}, "exclude_any": []string{"geen sms"}},
				"when":        a{"event_start": "2026-11-24T20:00", "event_end": "2026-11-24T23:00", "offset": "-PT3H", "tz": "Europe/Amsterdam"},
				"external_id": "concert-12/bericht-3",
			})
			c := got["campaign"].(a)
			if number(c["recipients"]) != 2 || c["external_id"] != "concert-12/bericht-3" || c["due"] != "2026-11-24T17:00:00+01:00" {
				t.Errorf("%v", got)
			}
			s.phones()
			s.until("2026-11-24T17:05")
			s.phones("+31612345678 Dag Anna! De deuren gaan om 19 uur open.", "+4915112345678 Hallo Bernd! De deuren gaan om 19 uur open.")
		})
	})
	t.Run("relative times stay relative", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("PUT", "/bookings/concert-12", a{"start": "2026-11-24T20:00", "end": "2026-11-24T23:00"})
			rows := []a{{"to": "0612345678", "ref": "o1"}}
			before := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Tot straks"}, "class": "transactional", "when": a{"event": "concert-12", "offset": "-PT3H"}})
			s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Bedankt"}, "class": "transactional", "when": a{"event": "concert-12", "offset": "PT2H"}})
			s.do("PUT", "/bookings/concert-12", a{"start": "2026-11-25T20:00", "end": "2026-11-25T23:30"})
			if c := s.do("GET", "/batches/"+before["id"].(string), nil); c["due"] != "2026-11-25T17:00:00+01:00" {
				t.Errorf("after the event moved: %v", c["due"])
			}
			s.until("2026-11-25T16:59")
			s.phones()
			s.until("2026-11-26T01:35")
			s.phones("+31612345678 Tot straks", "+31612345678 Bedankt")
		})
	})
	t.Run("a cancelled event stops its messages, also in a lane", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("PUT", "/bookings/concert-12", a{"start": "2026-11-24T20:00"})
			var rows []a
			for i := range 20 {
				rows = append(rows, a{"to": fmt.Sprintf("+3161000%04d", 10*i+9)})
			}
			got := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Tot straks"}, "class": "transactional", "when": a{"event": "concert-12", "offset": "-PT3H"}, "throttle": a{"gap_s": 30}})
			s.until("2026-11-24T17:02")
			sent := len(s.got())
			if sent < 2 || sent > 6 {
				t.Fatalf("%d left", sent)
			}
			s.do("PUT", "/bookings/concert-12", a{"status": "cancelled"})
			s.later(time.Hour)
			if n := len(s.got()); n > sent+1 {
				t.Errorf("%d left after the event was cancelled, %d before", n, sent)
			}
			if c := s.do("GET", "/batches/"+got["id"].(string), nil); c["state"] != "stopped" {
				t.Errorf("%v", c)
			}
		})
		// An SMSC that takes a minute for an answer, with room for one on the
		// wire: what the second lane holds has not left yet.
		onStreet(t, func(s *street) {
			s.do("PUT", "/bookings/concert-13", a{"start": "2026-11-24T20:00"})
			var rows []a
			for i := range 20 {
				rows = append(rows, a{"to": fmt.Sprintf("+3161000%04d", 10*i+9)})
			}
			s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Tot straks"}, "class": "transactional", "when": a{"event": "concert-13", "offset": "-PT3H"}})
			s.until("2026-11-24T17:00")
			s.later(30 * time.Second)
			if n := len(s.do("GET", "/messages?state=sending", nil)["items"].([]any)); n != 2 {
				t.Fatalf("the lanes hold %d messages", n)
			}
			s.do("PUT", "/bookings/concert-13", a{"status": "cancelled"})
			s.later(time.Hour)
			if n := len(s.got()); n != 1 {
				t.Errorf("%d left, one was on the wire", n)
			}
		}, func(s *street) { s.slow = time.Minute })
	})
	t.Run("a time that has passed", func(t *testing.T) {
		onStreet(t, func(s *street) {
			batch := func(start string) a {
				return a{"recipients": []a{{"to": "0612345678"}}, "texts": a{"nl": "Tot straks"}, "class": "transactional", "when": a{"event_start": start, "offset": "-PT3H"}}
			}
			s.refuses("POST", "/batches", batch("2026-11-24T12:00"), "in_the_past", "now: true")
			s.do("POST", "/batches", batch("2026-11-24T12:50")) // ten minutes late: now
			s.later(time.Minute)
			s.phones("+31612345678 Tot straks")
			s.refuses("POST", "/batches", a{"recipients": []a{{"to": "0612345678"}}, "texts": a{"nl": "x"}, "when": a{"event_start": "2026-11-25T20:00", "event_end": "2026-11-25T19:00", "offset": "PT1H"}}, "ends_before_start")
			s.refuses("POST", "/batches", a{"recipients": []a{{"to": "0612345678"}}, "texts": a{"nl": "x"}, "when": a{"at": "2027-10-31T02:30"}}, "time_twice", "fold 1")
		})
	})
	t.Run("five ways to write a placeholder", func(t *testing.T) {
		onStreet(t, func(s *street) {
			rows := []a{{"to": "0612345678", "vars": a{"Naam": "Jo"}}}
			s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "# naam # #NAAM# [Naam] {{naam}} { NAAM } #1 [2]"}, "class": "transactional"})
			s.later(time.Minute)
			s.phones("+31612345678 Jo Jo Jo Jo Jo #1 [2]")
			s.refuses("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Dag {naam}, stoel {stoel}"}, "class": "transactional"}, "placeholder_unknown", "{stoel} at character 19")
		})
	})
	t.Run("a missing value by the template's rule", func(t *testing.T) {
		onStreet(t, func(s *street) {
			rows := []a{{"to": "0612345678", "vars": a{"naam": "Jo", "stoel": "7"}}, {"to": "0687654321", "vars": a{"naam": "Bo"}}}
			batch := func(missing string, also a) a {
				b := a{"recipients": rows, "texts": a{"nl": "Dag {naam}. Uw stoel: {stoel}."}, "class": "transactional"}
				if missing != "" {
					b["missing"] = missing
				}
				for k, v := range also {
					b[k] = v
				}
				return b
			}
			got := s.do("POST", "/batches", batch("", nil))
			errs := got["errors"].([]any)
			if len(errs) != 1 || number(errs[0].(a)["row"]) != 2 || errs[0].(a)["code"] != "value_missing" {
				t.Errorf("%v", errs)
			}
			s.do("POST", "/batches", batch("default", a{"defaults": a{"stoel": "vrij"}}))
			s.do("POST", "/batches", batch("leave_out", nil))
			s.later(time.Minute)
			s.phones("+31612345678 Dag Jo. Uw stoel: 7.", "+31612345678 Dag Jo. Uw stoel: 7.", "+31612345678 Dag Jo. Uw stoel: 7.",
				"+31687654321 Dag Bo. Uw stoel: vrij.", "+31687654321 Dag Bo.")
		})
	})
	t.Run("preview and test", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("Jo", "0612345678")
			s.contact("Annemarie", "0687654321")
			s.do("PUT", "/campaigns/uitnodiging", a{"texts": a{"nl": "Dag {voornaam}, kom je ook?"}, "class": "transactional", "audience": a{"everybody": true}})
			p := s.do("POST", "/campaigns/uitnodiging/preview", nil)
			if number(p["messages"]) != 2 || p["longest"].(a)["text"] != "Dag Annemarie, kom je ook?" || len(p["first"].([]any)) != 2 {
				t.Errorf("%v", p)
			}
			sum := s.do("POST", "/preview", a{"template": "Dag {naam}", "recipients": []a{{"to": "0612345678", "vars": a{"naam": "Jo"}}}})
			if number(sum["messages"]) != 1 {
				t.Errorf("%v", sum)
			}
			test := s.do("POST", "/campaigns/uitnodiging/test", a{"to": "0699999999"})
			if test["ref"] != "TEST" || test["text"] != "Dag Annemarie, kom je ook?" {
				t.Errorf("%v", test)
			}
			if c := s.do("GET", "/campaigns/uitnodiging", nil); c["state"] != "draft" || len(c["states"].(a)) != 0 {
				t.Errorf("the test is in the campaign's history: %v", c)
			}
			s.later(time.Minute)
			s.phones("+31699999999 Dag Annemarie, kom je ook?")
		})
	})
	t.Run("counts by state, pages, and a file", func(t *testing.T) {
		onStreet(t, func(s *street) {
			rows := []a{{"to": "0612345678"}, {"to": "0687654321"}, {"to": "0611112222"}}
			id := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Hallo"}, "class": "transactional"})["id"].(string)
			s.later(time.Hour)
			c := s.do("GET", "/batches/"+id, nil)
			if states := c["states"].(a); number(states["delivered"]) != 3 || c["state"] != "done" {
				t.Errorf("%v", c)
			}
			first := s.do("GET", "/batches/"+id+"/messages?limit=2", nil)
			rest := s.do("GET", "/batches/"+id+"/messages?limit=2&after="+first["next"].(string), nil)
			if len(first["items"].([]any)) != 2 || len(rest["items"].([]any)) != 1 || rest["next"] != "" {
				t.Errorf("%v, %v", first, rest)
			}
			m := first["items"].([]any)[0].(a)
			if m["state"] != "delivered" || m["opened"] != nil {
				t.Errorf("%v", m)
			}
			file := s.do("GET", "/batches/"+id+"/recipients?format=csv", nil)["text"].(string)
			if lines := strings.Split(strings.TrimSpace(file), "\n"); len(lines) != 4 || !strings.Contains(lines[1], ";'+31612345678;delivered;") {
				t.Errorf("%s", file)
			}
		})
	})
	t.Run("one buyer with four orders gets one message", func(t *testing.T) {
		onStreet(t, func(s *street) {
			rows := []a{{"to": "0612345678", "ref": "1"}, {"to": "+31612345678", "ref": "2"}, {"to": "0031612345678", "ref": "3"}, {"to": "06 12 34 56 78", "ref": "4"}}
			got := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Hallo"}, "class": "transactional"})
			if c := got["campaign"].(a); number(c["merged"]) != 3 {
				t.Errorf("%v", c)
			}
			s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Elk"}, "class": "transactional", "dedupe": false})
			s.later(time.Minute)
			s.phones("+31612345678 Hallo", "+31612345678 Elk", "+31612345678 Elk", "+31612345678 Elk", "+31612345678 Elk")
		})
	})
	t.Run("an honest estimate", func(t *testing.T) {
		onStreet(t, func(s *street) {
			var rows []a
			for i := range 600 {
				rows = append(rows, a{"to": fmt.Sprintf("+3161000%04d", i)})
			}
			got := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Tot straks"}, "class": "transactional", "when": a{"event_start": "2026-11-24T11:30", "offset": "-PT1H"}})
			if got["eta_last"] != "2026-11-24T12:10:00+01:00" || len(got["warnings"].([]any)) != 1 || got["within_15_minutes"] != true {
				t.Errorf("eta_last %v, warnings %v", got["eta_last"], got["warnings"])
			}
		}, slow)
	})
	t.Run("all buyers, with a product, without it, and a free selection", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("PUT", "/bookings/concert-12", a{"start": "2026-11-28T20:00"})
			for _, b := range []struct {
				who, number, product, row, seat, kind string
				rank                                  int
			}{
				{"Anna", "0612345678", "ticket", "3", "A12", "adult", 1}, {"Bram", "0687654321", "ticket", "9", "A13", "child", 2}, {"Cees", "0611112222", "ticket", "4", "B7", "adult", 3},
			} {
				s.do("PUT", "/bookings/t-"+b.who, a{"customer": a{"id": b.who, "first_name": b.who, "number": b.number}, "event": "concert-12", "type": "ticket", "attributes": a{"product": b.product, "row": b.row, "seat": b.seat, "ticket_type": b.kind, "rank": b.rank}})
			}
			s.do("PUT", "/bookings/d-Bram", a{"contact": "Bram", "event": "concert-12", "type": "extra", "attributes": a{"product": "drinks"}})
			s.contact("Niemand", "0622223333")
			count := func(audience a) int {
				t.Helper()
				s.do("PUT", "/campaigns/c", a{"texts": a{"nl": "Dag {voornaam}"}, "class": "transactional", "audience": audience})
				return number(s.do("POST", "/campaigns/c/preview", nil)["messages"])
			}
			event := a{"field": "event", "op": "is", "value": "concert-12"}
			drinks := a{"field": "product", "op": "is", "value": "drinks"}
			for _, c := range []struct {
				name     string
				audience a
				want     int
			}{
				{"everybody", a{"everybody": true}, 4},
				{"buyers", a{"booking": []a{event}}, 3},
				{"buyers of drinks", a{"booking": []a{event, drinks}}, 1},
				{"buyers without drinks", a{"booking": []a{event}, "no_booking": []a{event, drinks}}, 2},
				{"rows 3 to 5", a{"booking": []a{event, {"field": "row", "op": "between", "value": []string{"3", "5"}}}}, 2},
				{"the same as numbers", a{"booking": []a{event, {"field": "row", "op": "between", "value": []int{3, 5}}}}, 2},
				{"the best ranks", a{"booking": []a{event, {"field": "rank", "op": "at_most", "value": 2}}}, 2},
				{"one of two ranks", a{"booking": []a{event, {"field": "rank", "op": "in", "value": []int{1, 3}}}}, 2},
				{"block A", a{"booking": []a{event, {"field": "seat", "op": "begins_with", "value": "a"}}}, 2},
				{"a kind of ticket", a{"booking": []a{event, {"field": "ticket_type", "op": "is", "value": "Child"}}}, 1},
				{"a kind in a block", a{"booking": []a{event, {"field": "ticket_type", "op": "is", "value": "adult"}, {"field": "seat", "op": "is", "value": "A12"}}}, 1},
				{"one by name", a{"all": []a{{"field": "first_name", "op": "is", "value": "cees"}}, "booking": []a{event}}, 1},
			} {
				if got := count(c.audience); got != c.want {
					t.Errorf("%s: %d, want %d", c.name, got, c.want)
				}
			}
		})
	})
	t.Run("by dropped files", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.dropped(map[string]string{
				"events.csv":     "id;start;end\nconcert-12;2026-11-24T20:00;2026-11-24T23:00\n",
				"zaal.csv":       "mobiel;taal;naam;ref\n0612345678;nl;Anna;o1\n0687654321;de;Bernd;o2\n",
				"zaal.json":      `{"texts": {"nl": "Dag #NAAM#", "de": "Hallo #NAAM#"}, "class": "transactional", "event": "concert-12", "offset": "-PT3H"}`,
				"afgelast.txt":   "niet voor een csv",
				"overige-nu.csv": "to;text\n0611112222;Kom gauw\n",
			}, func() {
				s.phones("+31611112222 Kom gauw")
				s.until("2026-11-24T17:05")
				s.phones("+31611112222 Kom gauw", "+31612345678 Dag Anna", "+31687654321 Hallo Bernd")
			})
		})
	})
}

// slow is a box whose routes carry six parts a minute.
func slow(s *street) {
	s.config = func(c *outreach.Config) { c.PerMinute = func() float64 { return 6 } }
}
