package queue

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func part(n, of, ref int, text string) route.Inbound {
	return route.Inbound{From: anna, Text: text, Concat: &route.Concat{Ref: ref, Bits: 8, Of: of, N: n}}
}

func (b *box) deliver(modem *routetest.Fake, list ...route.Inbound) {
	b.t.Helper()
	for _, in := range list {
		if err := modem.Deliver(in); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *box) inbox() []Inbound {
	b.t.Helper()
	list, _, err := b.q.Inbox(0, 100)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func TestPartsJoinInAnyOrderFromAnyRoute(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, other := routetest.NewFake("counter"), routetest.NewFake("other")
		other.SetIdentity("sim-counter") // the SIM was moved in between
		b.open(modem, other)
		b.later(time.Second)
		b.deliver(modem, part(3, 3, 7, "drie."))
		b.deliver(modem, part(1, 3, 7, "een, "))
		if n := len(b.inbox()); n != 0 {
			t.Errorf("%d messages are shown before they are whole", n)
		}
		b.close() // parts survive a restart
		b.open(modem, other)
		b.later(time.Second)
		b.deliver(other, part(2, 3, 7, "twee, "))
		b.deliver(other, part(2, 3, 7, "twee, ")) // told twice
		list := b.inbox()
		if len(list) != 1 || list[0].Text != "een, twee, drie." || len(list[0].Missing) != 0 {
			t.Errorf("got %+v", list)
		}
	})
}

func TestWidthOfTheReferenceKeepsMessagesApart(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		wide := part(2, 2, 9, "B")
		wide.Concat.Bits = 16
		b.deliver(modem, part(1, 2, 9, "a"), wide)
		other := part(2, 2, 9, "x")
		other.From = bram
		b.deliver(modem, other)
		if n := len(b.inbox()); n != 0 {
			t.Errorf("parts of different messages were joined: %+v", b.inbox())
		}
	})
}

func TestIncompleteIsShownWithItsGaps(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		b.deliver(modem, part(1, 4, 7, "Hallo, "), part(4, 4, 7, "groet Anna"))
		b.later(9 * time.Minute)
		if len(b.inbox()) != 0 {
			t.Error("shown too early")
		}
		b.later(2 * time.Minute)
		list := b.inbox()
		if len(list) != 1 || list[0].Text != "Hallo,  […] groet Anna" || !slices.Equal(list[0].Missing, []int{2, 3}) {
			t.Fatalf("got %+v", list)
		}
		b.deliver(modem, part(2, 4, 7, "ik kom "), part(3, 4, 7, "later, "))
		if got := b.inbox()[0].Text; got != "Hallo, ik kom later, groet Anna" {
			t.Errorf("the late parts did not fill the gaps: %q", got)
		}
	})
}

func TestReferenceUsedAgainBeginsAnotherMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		b.deliver(modem, part(1, 2, 7, "one "), part(2, 2, 7, "first"))
		b.later(time.Hour)
		b.deliver(modem, part(1, 2, 7, "two "), part(2, 2, 7, "second"))
		list := b.inbox()
		if len(list) != 2 || list[0].Text != "two second" || list[1].Text != "one first" {
			t.Errorf("got %+v", list)
		}
	})
}

func TestBadHeadersAreSingleMessages(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		b.deliver(modem, part(1, 0, 7, "total of none"), part(3, 2, 7, "beyond its total"), part(0, 2, 7, "number none"))
		if n := len(b.inbox()); n != 3 {
			t.Errorf("%d of 3 messages with odd headers are shown", n)
		}
	})
}

func TestReplyIsLinkedToWhatItAnswers(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.add(Draft{To: anna, Text: "an older one"})
		b.later(time.Minute)
		id := b.add(Draft{To: anna})
		b.later(time.Minute)
		b.deliver(modem, route.Inbound{From: "0612345678", Text: "ja, is goed"}, route.Inbound{From: bram, Text: "wie is dit?"})
		list := b.inbox()
		if list[1].Reply != id || list[0].Reply != 0 {
			t.Errorf("linked to %v and %v", list[1].Reply, list[0].Reply)
		}
	})
}

// What is planned for later answers nothing, and what left last does.
func TestReplyIsToTheLastThatLeft(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		planned := b.add(Draft{To: anna, Text: "eerder gepland", At: time.Now().Add(2 * time.Hour)})
		id := b.add(Draft{To: anna, Text: "Wilt u komen?"})
		b.add(Draft{To: anna, Text: "tot volgende week", At: time.Now().Add(7 * day)})
		b.later(time.Minute)
		b.deliver(modem, route.Inbound{From: anna, Text: "Ja graag"})
		b.later(3 * time.Hour)
		b.deliver(modem, route.Inbound{From: anna, Text: "Nogmaals ja"})
		list := b.inbox()
		if list[1].Reply != id || list[0].Reply != planned {
			t.Errorf("linked to %v and %v, want %v and %v", list[1].Reply, list[0].Reply, id, planned)
		}
	})
}

func TestMeaningOfWords(t *testing.T) {
	for text, want := range map[string]string{
		"STOP": ActionOptOut, " stop. ": ActionOptOut, "'Stop!'": ActionOptOut, "Arrêt": ActionOptOut, "avanmäl": ActionOptOut,
		"stop sms": ActionOptOut, "START": ActionOptIn, "hjälp": ActionHelp,
		"stop bij de bakker om 3": "", "stop met die onzin": ActionSuggest, "yes": "", "nie": "", "ja, is goed": "", "": "",
		"niet stoppen": "",
	} {
		if got := meaning(text); got != want {
			t.Errorf("%q means %q, want %q", text, got, want)
		}
	}
	if n := len(optoutWords()); n < 40 {
		t.Errorf("only %d words are known", n)
	}
}

func TestOptOutTakesEffectAtOnce(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		planned := b.add(Draft{To: anna, Class: Marketing, At: time.Now().Add(time.Hour)})
		notice := b.add(Draft{To: anna, At: time.Now().Add(time.Hour)})
		other := b.add(Draft{To: bram, Class: Marketing, At: time.Now().Add(time.Hour)})
		b.deliver(modem, route.Inbound{From: anna, Text: "Stop."})
		b.want(planned, Cancelled, "opted_out")
		b.want(notice, Scheduled, "planned")
		b.want(other, Scheduled, "planned")
		var invalid *Invalid
		if _, err := b.q.Add(t.Context(), Draft{To: anna, Text: "x", Class: Marketing}); !errors.As(err, &invalid) || invalid.Code != "opted_out" {
			t.Errorf("marketing to who opted out: %v", err)
		}
		b.add(Draft{To: anna})
		b.deliver(modem, route.Inbound{From: anna, Text: "START"})
		b.add(Draft{To: anna, Class: Marketing})
		kinds := map[Kind]int{}
		list, _ := b.q.Events(0, 0)
		for _, e := range list {
			kinds[e.Kind]++
		}
		if kinds[KindOptOut] != 1 || kinds[KindOptIn] != 1 {
			t.Errorf("events: %v", kinds)
		}
	})
}

func TestAPersonDecidesAWeakMatch(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		b.deliver(modem, route.Inbound{From: anna, Text: "stop met die reclame"})
		in := b.inbox()[0]
		if o, _ := b.q.OptedOut(anna); in.Action != ActionSuggest || o != nil {
			t.Fatalf("action %q, opted out %+v", in.Action, o)
		}
		if err := b.q.DecideInbound(t.Context(), in.Seq, ActionOptOut, "uid:1000"); err != nil {
			t.Fatal(err)
		}
		if o, _ := b.q.OptedOut(anna); o == nil || o.By != "uid:1000" {
			t.Errorf("opted out: %+v", o)
		}
		if err := b.q.DecideInbound(t.Context(), 999, ActionOptOut, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

// A sender may cut a long message inside a character: in front of the octets
// that an escape belongs to, or between the two halves of an emoji.
func TestPartsCutInsideACharacterAreReadTogether(t *testing.T) {
	units := func(n int, alphabet, octets, text string) route.Inbound {
		in := part(n, 3, 7, text)
		in.Units = &route.Units{Alphabet: alphabet, Octets: octets}
		return in
	}
	for _, c := range []struct {
		name, want string
		parts      []route.Inbound
	}{
		{"surrogates", "Hoi 😀 dag!", []route.Inbound{
			units(1, route.UCS2, "0048006f00690020d83d", "Hoi \uFFFD"),
			units(2, route.UCS2, "de000020006400610067", "\uFFFD dag"),
			units(3, route.UCS2, "0021", "!"),
		}},
		{"escape", "prijs €5!", []route.Inbound{
			units(1, route.GSM7, "7072696a73201b", "prijs  "),
			units(2, route.GSM7, "6535", "e5"),
			units(3, route.GSM7, "21", "!"),
		}},
		{"another alphabet between", "A\uFFFDb\uFFFD", []route.Inbound{
			units(1, route.UCS2, "0041d83d", "A\uFFFD"),
			units(2, route.GSM7, "62", "b"),
			units(3, route.UCS2, "de00", "\uFFFD"),
		}},
		{"a damaged part", "A\uFFFDBC", []route.Inbound{
			units(1, route.UCS2, "004100", "A\uFFFD"),
			units(2, route.UCS2, "0042", "B"),
			units(3, route.UCS2, "0043", "C"),
		}},
		{"one that was stored without units", "Hoi \uFFFDmidden!", []route.Inbound{
			units(1, route.UCS2, "0048006f00690020d83d", "Hoi \uFFFD"),
			part(2, 3, 7, "midden"),
			units(3, route.UCS2, "0021", "!"),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem := routetest.NewFake("counter")
				b.open(modem)
				b.later(time.Second)
				b.deliver(modem, c.parts[2], c.parts[0])
				b.close() // parts wait for each other across a restart
				b.open(modem)
				b.later(time.Second)
				b.deliver(modem, c.parts[1])
				list := b.inbox()
				if len(list) != 1 || list[0].Text != c.want || list[0].Units != nil {
					t.Errorf("got %+v, want %q", list, c.want)
				}
			})
		})
	}
}
