package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

const day = 24 * time.Hour

func TestRetention(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.openWith(Config{Retention: Retention{Text: 3 * day, Number: 9 * day, Counts: 73 * day}}, modem)
		id := b.add(Draft{To: anna, Text: "Geheim verhaal"})
		b.later(time.Minute)
		planned := b.add(Draft{To: bram, At: time.Now().Add(30 * day)})
		behind := b.add(Draft{To: cees, Text: "Ook geheim"}) // what lives before it does not keep its text
		b.deliver(modem, route.Inbound{From: anna, Text: "Antwoord"})
		b.later(2 * day)
		if got := b.get(id).Text(); got != "Geheim verhaal" {
			t.Errorf("after 2 days the text is %q", got)
		}
		b.later(day + time.Hour)
		if m := b.get(behind); m.Text() != "" {
			t.Errorf("a living message keeps the text of those behind it: %q", m.Text())
		}
		if m := b.get(id); m.Text() != "" || m.To != anna || m.State != Delivered {
			t.Errorf("after 3 days: text %q, to %q, %s", m.Text(), m.To, m.State)
		}
		b.later(6 * day)
		if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("after 9 days it is still there: %v", err)
		}
		if n := len(b.inbox()); n != 0 {
			t.Errorf("%d inbound messages are still there", n)
		}
		b.want(planned, Scheduled, "planned")
		var kept []DayCount
		_ = b.db.View(func(tx *store.Tx) error {
			for c, err := range counts.Scan(tx, nil) {
				if err != nil {
					return err
				}
				kept = append(kept, *c)
			}
			return nil
		})
		if len(kept) != 1 || kept[0].Number != 2 || kept[0].State != Delivered || kept[0].Day != "2026-11-24" {
			t.Errorf("counts: %+v", kept)
		}
		var gone *Gone
		if _, err := b.q.Events(1, 0); !errors.As(err, &gone) {
			t.Errorf("reading events that are gone: %v", err)
		}
		list, err := b.q.Events(0, 0)
		if err != nil || len(list) == 0 || list[0].Msg != planned {
			t.Errorf("the story of what is alive is gone: %+v, %v", list, err)
		}
	})
}

// What nobody ever learnt the fate of is not kept for ever, nor counted as
// anything else.
func TestUnknownEndsWithItsKeepingTime(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		b.openWith(Config{Retention: Retention{Text: 5 * day, Number: 9 * day}}, modem)
		id := b.add(Draft{To: anna, Text: "Geheim verhaal", OnUnknown: OnUnknownHold})
		b.later(7 * day) // three of them until it expires
		b.want(id, Unknown, "unsure")
		b.later(day + time.Hour)
		if m := b.get(id); m.State != Unknown || m.Text() != "" {
			t.Errorf("%s, %q: want unknown without its text", m.State, m.Text())
		}
		var e *Invalid
		if _, err := b.q.Settle(t.Context(), id, Queued, "test"); !errors.As(err, &e) || e.Code != "text_gone" {
			t.Errorf("a message without its text is sent again: %v", err)
		}
		b.later(4 * day)
		if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its keeping time: %v", err)
		}
		if rows := b.everything(); strings.Contains(rows, "12345678") || !strings.Contains(rows, `"state":"unknown","messages":1`) {
			t.Errorf("its number is still there, or its count is not:\n%s", rows)
		}
	})
}

// Numbers that were kept to send by go when they are of no more use.
func TestNumbersKeptToSendByGo(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.openWith(Config{}, modem)
		if err := b.q.Limit("counter", Quota{RecipientsPerMonth: 100}); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("lang ", 40)
		b.add(Draft{To: anna, Text: long})
		b.later(time.Minute)
		if rows := b.kept(); rows != "1 1" {
			t.Fatalf("references and recipients: %s", rows)
		}
		b.later(9 * day)
		b.add(Draft{To: bram, Text: long})
		b.later(time.Minute)
		if rows := b.kept(); rows != "1 2" {
			t.Errorf("after 9 days: %s, want the new reference only", rows)
		}
		if _, err := b.q.Erase(t.Context(), bram, "test"); err != nil {
			t.Fatal(err)
		}
		if rows := b.kept(); rows != "0 1" {
			t.Errorf("after the second is erased: %s", rows)
		}
		b.later(70 * day)
		if rows := b.kept(); rows != "0 0" {
			t.Errorf("after months: %s", rows)
		}
	})
}

// kept is how many references and recipients of a quota there are.
func (b *box) kept() string {
	b.t.Helper()
	refs, hashes := 0, 0
	err := b.db.View(func(tx *store.Tx) error {
		for _, err := range concats.Scan(tx, nil) {
			if refs++; err != nil {
				return err
			}
		}
		for _, err := range recipients.Scan(tx, nil) {
			if hashes++; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(refs, hashes)
}

func TestErasingAPerson(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		id := b.add(Draft{To: anna, Text: "Beste Zoetemelk"})
		waiting := b.add(Draft{To: anna, Text: "Zoetemelk, tot morgen", At: time.Now().Add(day)})
		other := b.add(Draft{To: bram})
		b.later(time.Second)
		b.deliver(modem, route.Inbound{From: anna, Text: "stop"}, route.Inbound{From: anna, Text: "Groet, Zoetemelk"})

		about, err := b.q.Export("06-12345678")
		if err != nil || len(about.Messages) != 2 || len(about.Inbound) != 2 || about.OptOut == nil || len(about.Stories[0]) == 0 {
			t.Fatalf("export: %+v, %v", about, err)
		}
		if _, err := json.Marshal(about); err != nil {
			t.Error(err)
		}
		done, err := b.q.Erase(t.Context(), "06-12345678", "uid:0")
		if err != nil || done != (Erased{Messages: 2, Inbound: 2}) {
			t.Errorf("erased %+v, %v", done, err)
		}
		for _, gone := range []ID{id, waiting} {
			if _, err := b.q.Get(gone); !errors.Is(err, ErrNotFound) {
				t.Errorf("still there: %v", err)
			}
		}
		b.want(other, Sent, "wait_report")
		if o, err := b.q.OptedOut(anna); err != nil || o == nil || o.Number != "" {
			t.Errorf("the objection must stay without the number: %+v, %v", o, err)
		}
		if c := b.q.Counts(); c.Scheduled != 0 {
			t.Errorf("counts: %+v", c)
		}
		rows := b.everything()
		for _, trace := range []string{"Zoetemelk", "12345678"} {
			if strings.Contains(rows, trace) {
				t.Errorf("%q is still in the store", trace)
			}
		}
		b.later(2 * day)
		if n := len(modem.Log()); n != 2 {
			t.Errorf("%d messages went out in all, want 2", n)
		}
	})
}

// everything is every row of every table as text.
func (b *box) everything() string {
	b.t.Helper()
	var all strings.Builder
	err := b.db.View(func(tx *store.Tx) error {
		return errors.Join(
			dump(&all, tx, messages), dump(&all, tx, events), dump(&all, tx, orphans), dump(&all, tx, seen),
			dump(&all, tx, concats), dump(&all, tx, inbox), dump(&all, tx, memory), dump(&all, tx, pauses),
			dump(&all, tx, usages), dump(&all, tx, recipients), dump(&all, tx, optOuts), dump(&all, tx, counts),
			dump(&all, tx, erasures), dump(&all, tx, wipes), dump(&all, tx, clocks), dump(&all, tx, adrifts),
			dump(&all, tx, callbacks), dump(&all, tx, tillUses), dump(&all, tx, htmls),
		)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(Schema()) != 19 {
		b.t.Errorf("there are %d tables, everything knows 19", len(Schema()))
	}
	return all.String()
}

func dump[T any](to *strings.Builder, tx *store.Tx, table *store.Table[T]) error {
	for row, err := range table.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if err := json.NewEncoder(to).Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// What was made while the clock ran years ahead is as old as what came after
// it: it is forgotten with that, and holds nothing else back.
func TestRetentionAfterAWrongClock(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(time.Now())
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.openWith(Config{Clock: w.config(), Retention: Retention{Text: 3 * day, Number: 9 * day}}, modem)
		begin := time.Now()
		w.set(begin.AddDate(2, 0, 0))
		b.later(time.Minute)
		wrong := b.add(Draft{To: anna, Text: "Uit de toekomst"})
		b.deliver(modem, route.Inbound{From: anna, Text: "Antwoord"})
		b.later(time.Minute)
		w.set(time.Now())
		b.later(time.Minute)
		right := b.add(Draft{To: bram, Text: "Van nu"})
		b.deliver(modem, route.Inbound{From: bram, Text: "Antwoord"})
		b.later(4 * day)
		for _, id := range []ID{wrong, right} {
			if got := b.get(id).Text(); got != "" {
				t.Errorf("after 4 days the text is %q", got)
			}
		}
		b.later(6 * day)
		for _, id := range []ID{wrong, right} {
			if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("after 10 days it is still there: %v", err)
			}
		}
		if n := len(b.inbox()); n != 0 {
			t.Errorf("%d inbound messages are still there", n)
		}
		list, err := b.q.Events(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.At.Before(begin.Add(day)) || e.At.After(time.Now()) {
				t.Errorf("an event is still there: %+v", e)
			}
		}
	})
}
