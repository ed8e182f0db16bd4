package outreach

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func ids(list []Known) (all []string) {
	for _, k := range list {
		all = append(all, k.ID)
	}
	return all
}

func TestContactsAreFound(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "D1", FirstName: "Anna", LastName: "Smit", Number: anna, Language: "nl", Status: "active"})
		b.contact(Contact{ID: "D2", Name: "Bram de Wit", Number: bram, Language: "de", Email: "bram@example.de"})
		b.contact(Contact{ID: "D3", Name: "Cees Blom", Number: cees, Language: "nl", Status: "overleden"})
		b.contact(Contact{ID: "D30", Name: "Dora Ek", Number: dora, Language: "sv"})
		b.consent("D1")
		b.consent("D2")
		if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: "D2", Purpose: Marketing, At: b.q.Now().Add(time.Second), How: "till"}); err != nil {
			b.t.Fatal(err)
		}
		if _, err := b.o.PutExclusion(b.t.Context(), Exclusion{ID: "D30", Reason: "moved away"}); err != nil {
			b.t.Fatal(err)
		}
		for name, c := range map[string]struct {
			s    Search
			want string
		}{
			"everybody":              {Search{}, "D1 D2 D3 D30"},
			"by a piece of a name":   {Search{Words: "BLO"}, "D3"},
			"by both names":          {Search{Words: "anna smit"}, "D1"},
			"by an address":          {Search{Words: "example.de"}, "D2"},
			"by a whole number":      {Search{Words: "06-87654321"}, "D2"},
			"by a number abroad":     {Search{Words: "+31 6 22223333"}, "D30"},
			"by digits of a number":  {Search{Words: "2222"}, "D3 D30"},
			"by exactly this id":     {Search{Words: "D3"}, "D3"},
			"by a piece of an id":    {Search{Words: "d3"}, "D3 D30"},
			"by a language":          {Search{Language: "nl"}, "D1 D3"},
			"by a status":            {Search{Status: "Active"}, "D1"},
			"who agreed":             {Search{Consent: ConsentGiven}, "D1"},
			"who withdrew":           {Search{Consent: ConsentWithdrawn}, "D2"},
			"who was never asked":    {Search{Consent: ConsentNone}, "D3 D30"},
			"who is kept out":        {Search{Excluded: true}, "D3 D30"},
			"nobody":                 {Search{Words: "zebra"}, ""},
			"an id of another state": {Search{Words: "D3", Language: "sv"}, "D30"},
		} {
			f, err := b.o.Find(c.s)
			if err != nil || strings.Join(ids(f.List), " ") != c.want || f.Count != len(f.List) && f.Count != 0 || f.Next != "" {
				b.t.Errorf("%s: %v, %d, %q, %v; want %s", name, ids(f.List), f.Count, f.Next, err, c.want)
			}
		}
		st, err := b.o.Standing("D3")
		if err != nil || !st.Ended || !st.Out() || st.Marketing() != ConsentNone {
			b.t.Errorf("%+v, %v", st, err)
		}
		if _, err := b.o.Standing("nobody"); err != ErrNotFound {
			b.t.Errorf("nobody: %v", err)
		}
	})
}

// A page is whole wherever it begins, counts what lies behind it only when it
// is the first, and one that ran out of patience says where to go on.
func TestFoundInPages(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		const all = scanChunk + 40
		var list []Contact
		for i := range all {
			list = append(list, Contact{ID: fmt.Sprintf("K%05d", i), Name: "Klant", Language: []string{"nl", "sv"}[i%2]})
		}
		if _, err := b.o.ImportContacts(b.t.Context(), list, Import{}); err != nil {
			b.t.Fatal(err)
		}
		for _, s := range []Search{{Limit: 30}, {Limit: 700, Language: "sv"}, {Limit: 700, Words: "klant"}, {Limit: 900, Consent: ConsentNone}} {
			var seen []string
			for first := true; ; first = false {
				f, err := b.o.Find(s)
				if err != nil {
					b.t.Fatal(err)
				}
				want := all
				if s.Language != "" {
					want = all / 2
				}
				if first && f.Count != want {
					b.t.Errorf("%+v counts %d, want %d", s, f.Count, want)
				}
				seen = append(seen, ids(f.List)...)
				if s.After = f.Next; s.After == "" {
					if len(seen) != want || !slices.IsSorted(seen) || len(slices.Compact(seen)) != want {
						b.t.Errorf("%+v: %d in all, want %d, each once", s, len(seen), want)
					}
					break
				}
			}
		}
		f, err := b.o.Find(Search{Words: "K02039", Patience: time.Nanosecond})
		if err != nil || len(f.List) != 1 {
			b.t.Errorf("an id is found whatever the patience: %+v, %v", f, err)
		}
		// In virtual time nothing takes time, so patience never ends by itself.
		if f, err = b.o.Find(Search{Words: "k02039", Patience: time.Hour}); err != nil || f.Short || len(f.List) != 1 {
			b.t.Errorf("with patience: %+v, %v", f, err)
		}
	})
}

func TestWhoAskedForNoAdvertisingIsFound(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("modem")
		b.open(modem)
		b.contact(Contact{ID: "D1", Name: "Anna", Number: anna})
		b.contact(Contact{ID: "D2", Name: "Bram", Number: bram})
		if err := modem.Deliver(route.Inbound{From: bram, Text: "STOP"}); err != nil {
			b.t.Fatal(err)
		}
		f, err := b.o.Find(Search{OptedOut: true})
		if err != nil || strings.Join(ids(f.List), " ") != "D2" || f.List[0].OptedOut.IsZero() {
			b.t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestNamesThatATextCanUse(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "D1", Attrs: Attributes{"punten": textValue("3")}})
		b.contact(Contact{ID: "D2", Attrs: Attributes{"fiets": textValue("Gazelle")}})
		k, err := b.o.KnownNames(0)
		if err != nil || strings.Join(k.Attributes, " ") != "fiets punten" || !slices.Contains(k.Fields, "first_name") || !slices.Contains(k.Booking, "start_time") {
			b.t.Errorf("%+v, %v", k, err)
		}
		for name, has := range map[string]bool{"Punten": true, "VOORNAAM": true, "start_time": true, "verfalldatum": false} {
			if k.Has(name) != has {
				b.t.Errorf("%s: %v", name, !has)
			}
		}
	})
}

func TestATextIsTriedOnContacts(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		words := func(s string, m Missing) Stored {
			return Stored{Name: "t", Missing: m, Texts: map[string]map[string]string{SMS: {"nl": s, "sv": "{no_such_thing}"}}}
		}
		got, err := b.o.Try(words("Dag #FORNAMN#", ""), SMS, "nl", "")
		if err != nil || got.Contact != nil || got.Quote.Plan.Text != "Dag #FORNAMN#" || got.Text != "Dag #FORNAMN#" {
			b.t.Errorf("an empty register: %+v, %v", got, err)
		}
		b.contact(Contact{ID: "D1", FirstName: "Åsa", Language: "sv", Number: dora})
		b.contact(Contact{ID: "D2", FirstName: "Anna", Language: "nl", Number: anna, Attrs: Attributes{"apk": {Type: TypeDate, Text: "2027-04-23"}}})
		got, err = b.o.Try(words("Dag #FORNAMN#, uw apk verloopt op {apk}.", ""), SMS, "nl", "")
		if err != nil || got.Contact.ID != "D2" || got.Quote.Plan.Text != "Dag Anna, uw apk verloopt op 23-04-2027." {
			b.t.Errorf("the first who reads it: %+v, %v", got, err)
		}
		for missing, want := range map[Missing]string{Refuse: "", LeaveOut: "Dag Åsa."} {
			got, err = b.o.Try(words("Dag #FORNAMN#. Uw apk verloopt op {apk}.", missing), SMS, "nl", "D1")
			if err != nil || strings.Join(got.Lacks, " ") != "apk" || (got.Quote == nil) != (want == "") || want != "" && got.Quote.Plan.Text != want {
				b.t.Errorf("%s: %+v, %v", missing, got, err)
			}
		}
		if got, err = b.o.Try(words("Uw apk verloopt op {apk}.", LeaveOut), SMS, "nl", "D1"); err != nil || !got.Left || got.Quote != nil {
			b.t.Errorf("nothing left: %+v, %v", got, err)
		}
		if _, err = b.o.Try(words("Dag", ""), SMS, "nl", "nobody"); err != ErrNotFound {
			b.t.Errorf("nobody: %v", err)
		}
		_, err = b.o.Try(words(" ", ""), SMS, "nl", "D1")
		refused(b.t, "an empty text", err, "text_empty")

		mail := Stored{Texts: map[string]map[string]string{Email: {"nl": "Dag {first_name} – tot gauw"}}}
		if got, err = b.o.Try(mail, Email, "nl", "D2"); err != nil || got.Quote != nil || got.Text != "Dag Anna – tot gauw" {
			b.t.Errorf("an e-mail: %+v, %v", got, err)
		}

		p, err := b.o.Survey(Stored{Missing: Refuse, Texts: map[string]map[string]string{SMS: {"nl": "Uw apk verloopt op {apk}."}}}, SMS)
		if err != nil || p.Messages != 1 || p.Shortest.Contact != "D2" || len(p.Refused) != 1 || p.Refused[0].First[0] != "D1" {
			b.t.Errorf("the whole register: %+v, %v", p, err)
		}
	})
}
