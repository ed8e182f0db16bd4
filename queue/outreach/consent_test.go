package outreach

import (
	"testing"
	"time"

	"tillpost/queue"
)

// One message that is advertising needs consent as a list does: of the call, of
// the contact, of the owner of the number, or of an owner who vouches.
func TestOneMessageOfAdvertisingNeedsConsent(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "A", Number: anna, Email: "anna@example.nl"})
		b.contact(Contact{ID: "B", Number: "+31687654321"})
		b.consent("A")
		b.template("promo", "Korting!", func(s *Stored) { s.Class = queue.Marketing })
		given := func(purpose string) *Proof {
			return &Proof{Given: true, Source: "form", At: time.Now(), Purpose: purpose}
		}
		ad := func(to string) queue.Draft { return queue.Draft{To: to, Text: "Korting!", Class: queue.Marketing} }
		stranger := "+31611112222"
		for name, c := range map[string]struct {
			d      queue.Draft
			single Single
			said   Said
			code   string
		}{
			"to nobody we know":           {ad(stranger), Single{}, Said{}, "no_consent"},
			"and the till knows":          {ad(stranger), Single{}, Said{Consents: []string{"Marketing "}}, ""},
			"and there is proof":          {ad(stranger), Single{}, Said{Proof: given("")}, ""},
			"and proof of something else": {ad(stranger), Single{}, Said{Proof: given("nieuwsbrief")}, "no_consent"},
			"and proof of no":             {ad(stranger), Single{}, Said{Proof: &Proof{Source: "form", At: time.Now()}}, "no_consent"},
			"whose number agreed":         {ad("06-12345678"), Single{}, Said{}, ""},
			"whose number did not":        {ad("0687654321"), Single{}, Said{}, "no_consent"},
			"a landline":                  {ad("0201234567"), Single{}, Said{}, "no_consent"},
			"a contact who did not":       {ad(""), Single{Contact: "B"}, Said{}, "no_consent"},
			"a contact who did":           {ad(""), Single{Contact: "A"}, Said{}, ""},
			"a template that is one":      {queue.Draft{}, Single{Contact: "B", Template: "promo"}, Said{}, "no_consent"},
			"such a one, to a number":     {queue.Draft{To: stranger}, Single{Template: "promo"}, Said{}, "no_consent"},
			"such a one, who agreed":      {queue.Draft{}, Single{Contact: "A", Template: "promo"}, Said{}, ""},
			"by e-mail":                   {queue.Draft{To: "Anna@example.nl", Channel: queue.Email, Text: "x", Class: queue.Marketing}, Single{}, Said{}, ""},
			"by e-mail, and did not":      {queue.Draft{To: "b@example.nl", Channel: queue.Email, Text: "x", Class: queue.Marketing}, Single{}, Said{}, "no_consent"},
			"no advertising":              {queue.Draft{To: stranger, Text: "Uw fiets is klaar"}, Single{}, Said{}, ""},
		} {
			d, err := b.o.Fill(c.d, c.single)
			if err != nil {
				b.t.Fatalf("%s: %v", name, err)
			}
			if err = b.o.Agreed(d, c.said); c.code == "" {
				if err != nil {
					b.t.Errorf("%s: %v", name, err)
				}
				continue
			}
			refused(b.t, name, err, c.code)
			b.o.cfg.TillChecks = true
			if err := b.o.Agreed(d, Said{}); err != nil {
				b.t.Errorf("%s, and the till checks: %v", name, err)
			}
			b.o.cfg.TillChecks = false
		}
		// What was withdrawn is not given back by who does not know of it.
		if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: "A", Purpose: "MARKETING", How: "telephone"}); err != nil {
			b.t.Fatal(err)
		}
		refused(b.t, "withdrawn", b.o.Agreed(ad(anna), Said{Consents: []string{Marketing}, Proof: given("")}), "no_consent")
	})
}

// A purpose is compared as names are: capitals and blanks mean nothing. And
// proof of one is none of another.
func TestPurposesAreComparedAsNames(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		text := map[string]string{"nl": "Aanbieding"}
		proof := func(purpose string) *Proof {
			return &Proof{Given: true, Source: "form", At: time.Now(), Purpose: purpose}
		}
		two := []string{"news", Marketing}
		for name, c := range map[string]struct {
			row  Recipient
			p    Policy
			code string
		}{
			"must not have":         {Recipient{To: anna, Consents: []string{Marketing, "Geen  SMS"}}, Policy{ExcludeAny: []string{"geen sms"}}, "rows_refused"},
			"must not, otherwise":   {Recipient{To: anna, Consents: []string{Marketing, "geen sms"}}, Policy{ExcludeAny: []string{"Geen SMS"}}, "rows_refused"},
			"must have":             {Recipient{To: anna, Consents: []string{" Marketing"}}, Policy{}, ""},
			"must have, otherwise":  {Recipient{To: anna, Consents: []string{"news"}}, Policy{RequireAll: []string{"News"}}, ""},
			"proof of all":          {Recipient{To: anna}, Policy{RequireAll: []string{"news"}, Given: proof("")}, ""},
			"proof of nothing said": {Recipient{To: anna}, Policy{RequireAll: two, Given: proof("")}, "proof_incomplete"},
			"proof of one of two":   {Recipient{To: anna}, Policy{RequireAll: two, Given: proof("news")}, "rows_refused"},
			"and the row of that":   {Recipient{To: anna, Consents: []string{Marketing}}, Policy{RequireAll: two, Given: proof("News")}, ""},
			"a row's proof of what": {Recipient{To: anna, Proof: proof("")}, Policy{RequireAll: two}, "rows_refused"},
			"a row's of another":    {Recipient{To: anna, Proof: proof("news")}, Policy{}, "rows_refused"},
		} {
			_, err := b.o.Batch(b.t.Context(), Campaign{Texts: text, Consent: c.p}, []Recipient{c.row}, false, "till")
			if c.code != "" {
				refused(b.t, name, err, c.code)
			} else if err != nil {
				b.t.Errorf("%s: %v", name, err)
			}
		}
		// In the register too, also where a line was written before.
		b.contact(Contact{ID: "A", Number: anna})
		for _, purpose := range []string{"Marketing", "Geen SMS"} {
			if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: "A", Purpose: purpose, Granted: true, How: "form"}); err != nil {
				b.t.Fatal(err)
			}
		}
		for purpose, want := range map[string]int{"geen sms": 0, "iets anders": 1} {
			c := &Campaign{Name: "c", Texts: text, Audience: everybody, Consent: Policy{RequireAll: []string{Marketing}, ExcludeAny: []string{purpose}}}
			if s, err := b.o.fromRegister(c, time.Now()); err != nil || len(s.list) != want {
				b.t.Errorf("without %s: %+v, %v", purpose, s, err)
			}
		}
	})
}
