package outreach

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

const mailbox = "shop@example.nl"

// post is a box whose replies are carried on to some addresses.
type post struct {
	*box
	modem, mail *routetest.Fake
}

func inPost(t *testing.T, fn func(t *testing.T, p *post), to ...string) {
	t.Helper()
	inBox(t, func(b *box) {
		p := &post{box: b}
		p.begin(to...)
		fn(b.t, p)
	})
}

// begin starts the box, or starts it again with other addresses.
func (p *post) begin(to ...string) {
	p.t.Helper()
	p.close()
	p.cfg.ForwardInbox = to
	p.modem, p.mail = routetest.NewFake("counter"), routetest.NewFake("email")
	p.openWith("email", p.modem, p.mail)
	p.later(time.Second)
}

// says lets a customer send something.
func (p *post) says(from, text string) {
	p.t.Helper()
	p.comes(route.Inbound{From: from, Text: text})
}

func (p *post) comes(in route.Inbound) {
	p.t.Helper()
	if err := p.modem.Deliver(in); err != nil {
		p.t.Fatal(err)
	}
}

// letters are the mails that the server was given, subject and text.
func (p *post) letters() (list []string) {
	p.t.Helper()
	p.later(3 * time.Second)
	for _, out := range p.mail.Log() {
		list = append(list, out.To+" ["+out.Subject+"] "+out.Text)
	}
	return list
}

// got compares the mails by how they begin.
func (p *post) got(want ...string) {
	p.t.Helper()
	list := p.letters()
	if !slices.EqualFunc(list, want, strings.HasPrefix) {
		p.t.Errorf("mails:\n%s\nwant:\n%s", strings.Join(list, "\n\n"), strings.Join(want, "\n"))
	}
}

func (p *post) rows() (n int) {
	p.t.Helper()
	if err := each(p.db, forwards, func(*store.Tx, *forwarded) error { n++; return nil }); err != nil {
		p.t.Fatal(err)
	}
	return n
}

func TestReplyIsCarriedOnWithAllAboutIt(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		p.contact(Contact{ID: "D1044", FirstName: "Jo", LastName: "Jansen", Number: anna})
		asked, err := p.q.Add(t.Context(), queue.Draft{To: anna, Text: "Schikt dinsdag\n10 uur?", Ref: "werk 17", Booking: "apk-1"})
		if err != nil {
			t.Fatal(err)
		}
		p.later(time.Minute)
		p.says(anna, "ja, {when} is goed\r\n👍")
		want := "shop@example.nl [Sms van Jo Jansen (D1044)] ja, {when} is goed\n👍\n\n" +
			"Van: Jo Jansen (D1044), +31612345678\nOntvangen: 24-11-2026 09:01\n" +
			"Antwoord op: Schikt dinsdag 10 uur? (24-11-2026 09:00)\nUw kenmerk: werk 17\nAfspraak: apk-1\n\n" +
			"Antwoorden kan onder Inkomend op de pagina van het kastje. Een antwoord op deze mail komt niet op de telefoon aan."
		if got := p.letters(); !slices.Equal(got, []string{want}) {
			t.Errorf("%q\nwant\n%q", got, want)
		}
		if m, err := p.q.Get(asked.ID); err != nil || m.State != queue.Sent {
			t.Errorf("%+v, %v", m, err)
		}
	}, "Shop <Shop@Example.nl>", mailbox) // two spellings of one mailbox
}

func TestReplyLeadsToItsPageWhereTheBoxHasAName(t *testing.T) {
	inBox(t, func(b *box) {
		t := b.t
		b.cfg.Page, b.cfg.Language = "http://box.local:8080", "de"
		p := &post{box: b}
		p.begin(mailbox, "chef@example.nl")
		p.says("", "hallo")
		rest := " [SMS von ein unbekannter Absender] hallo\n\nVon: ein unbekannter Absender\nEmpfangen: 24.11.2026 09:00\nZum Antworten: http://box.local:8080/inbox/1\n\nEine Antwort auf diese Mail kommt nicht auf dem Telefon an."
		if got := p.letters(); len(got) != 2 || !slices.Contains(got, mailbox+rest) || !slices.Contains(got, "chef@example.nl"+rest) {
			t.Errorf("%q", got)
		}
	})
}

func TestReplySaysWhatItsWordsMean(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		for said, want := range map[string]string{
			"STOP":          "Dit is een afmelding.",
			"START":         "De afzender wil weer reclame",
			"HELP":          "Dit woord vraagt om hulp",
			"stop daar mee": "Dit kan een afmelding zijn.",
		} {
			before := len(p.letters())
			p.says(anna, said)
			got := p.letters()
			if len(got) != before+1 || !strings.Contains(got[before], want) {
				t.Errorf("%s: %q", said, got[before:])
			}
			if out := strings.Contains(got[before], "[Afmelding van +31612345678]"); out != (said == "STOP") {
				t.Errorf("%s: %q", said, got[before:])
			}
		}
		before := len(p.letters())
		p.comes(route.Inbound{From: bram, Text: "1 of 2 octets", Undecodable: true})
		if got := p.letters(); len(got) != before+1 || !strings.Contains(got[before], "kon niet lezen") {
			t.Errorf("%q", got)
		}
	}, mailbox)
}

// A message with a gap is mailed when the inbox shows it, and again when the
// rest of it comes after all.
func TestLongReplyIsCarriedOnWhole(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		part := func(ref, n int, text string) {
			p.comes(route.Inbound{From: anna, Text: text, Concat: &route.Concat{Ref: ref, Bits: 8, Of: 2, N: n}})
		}
		part(1, 1, "Ja, graag ")
		part(1, 2, "om tien uur")
		p.got("shop@example.nl [Sms van +31612345678] Ja, graag om tien uur\n\nVan")
		part(2, 1, "Of toch ")
		p.later(9 * time.Minute)
		p.got("shop@example.nl [Sms van +31612345678] Ja, graag om tien uur\n\nVan")
		p.later(2 * time.Minute)
		part(2, 2, "om elf")
		got := p.letters()
		if len(got) != 3 || !strings.Contains(got[1], "] Of toch  […]\n") || !strings.Contains(got[1], "Ontbrekende delen: 1 van 2") || !strings.Contains(got[2], "] Of toch om elf\n") || !strings.Contains(got[2], "Dit is het hele bericht.") {
			t.Errorf("%q", got)
		}
	}, mailbox)
}

// The same words a minute later are another reply.
func TestEqualRepliesAreTwo(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		p.says(anna, "ja")
		p.says(anna, "ja")
		p.got("shop@example.nl [Sms van +31612345678] ja", "shop@example.nl [Sms van +31612345678] ja")
	}, mailbox)
}

func TestCarryingOnBeginsWhenItIsSwitchedOn(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		p.says(anna, "voor de instelling")
		p.got()
		p.begin(mailbox)
		p.got()
		p.says(anna, "erna")
		p.got("shop@example.nl [Sms van +31612345678] erna")
		p.begin() // off
		p.says(anna, "terwijl het uit was")
		p.later(time.Minute)
		p.begin(mailbox)
		p.says(anna, "weer aan")
		p.got("shop@example.nl [Sms van +31612345678] weer aan")
		p.begin(mailbox) // another start is no other beginning, and repeats nothing
		p.got()
		p.begin(mailbox, "chef@example.nl")
		p.got()
		p.says(anna, "ook voor de chef")
		p.got("shop@example.nl [Sms van +31612345678] ook voor de chef", "chef@example.nl [Sms van +31612345678] ook voor de chef")
	})
}

func TestCarryingOnGoesOnWhereTheBoxStopped(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		p.mail.SetState(route.Waiting) // the mail server is down
		p.says(anna, "een")
		p.later(3 * time.Second)
		waiting := p.messages()
		if len(waiting) != 1 || waiting[0].State != queue.Queued || waiting[0].Until().IsZero() {
			t.Fatalf("%+v", waiting)
		}
		if why, _ := p.q.Explain(waiting[0]); why.Text("nl", p.cfg.Location) == "" {
			t.Error("it waits without a reason")
		}
		p.says(bram, "twee") // and is not carried on before the box stops
		p.begin(mailbox)
		p.got("shop@example.nl [Sms van +31612345678] een", "shop@example.nl [Sms van +31687654321] twee")
		p.begin(mailbox)
		p.got()
	}, mailbox)
}

// Twenty mails in ten minutes; what pours in beyond that comes together.
func TestFloodOfRepliesComesTogether(t *testing.T) {
	from := func(i int) string { return fmt.Sprintf("+316%08d", 10_000_000+i) }
	t.Run("a few too many wait, and have mails of their own", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			for i := range 25 {
				p.says(from(i), "ja")
				p.later(2 * time.Second)
			}
			if got := p.letters(); len(got) != mailsInSpan {
				t.Errorf("%d mails", len(got))
			}
			p.later(mailSpan)
			got := p.letters()
			if len(got) != 25 || !strings.Contains(got[24], from(24)) {
				t.Errorf("%d mails: %q", len(got), got[mailsInSpan:])
			}
		}, mailbox)
	})
	t.Run("many stand in one mail", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			for i := range 40 { // the modem comes back with a full memory
				p.says(from(i), fmt.Sprint("antwoord ", i))
			}
			got := p.letters()
			if len(got) != 1 || !strings.HasPrefix(got[0], "shop@example.nl [40 sms'jes binnengekomen] Er kwamen in korte tijd 40 berichten binnen") {
				t.Fatalf("%d mails: %q", len(got), got)
			}
			for i := range 40 {
				if strings.Count(got[0], fmt.Sprintf("antwoord %d\n", i)) != 1 || strings.Count(got[0], from(i)) != 1 {
					t.Errorf("%d is not in it once", i)
				}
			}
			if strings.Count(got[0], "Een antwoord op deze mail") != 1 {
				t.Errorf("%q", got[0])
			}
			p.says(anna, "daarna")
			p.later(time.Minute)
			if got := p.letters(); len(got) != 1 {
				t.Errorf("%d mails: these ten minutes are not over", len(got))
			}
			p.later(mailSpan)
			if got := p.letters(); len(got) != 2 || !strings.HasPrefix(got[1], "shop@example.nl [Sms van +31612345678] daarna") {
				t.Errorf("%q", got[1:])
			}
		}, mailbox)
	})
	t.Run("as few mails as hold them", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			for i := range 30 {
				p.says(from(i), fmt.Sprintf("%d %s", i, strings.Repeat("lang ", 300)))
			}
			got := p.letters()
			whole := strings.Join(got, "")
			if len(got) != 3 {
				t.Errorf("%d mails", len(got))
			}
			for i := range 30 {
				if strings.Count(whole, from(i)) != 1 {
					t.Errorf("%d is not in them once", i)
				}
			}
		}, mailbox)
	})
}

// A mail that tells of a person is forgotten with that person, whoever it went to.
func TestErasingReachesWhatWasCarriedOn(t *testing.T) {
	t.Run("a mail that was sent", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			p.contact(Contact{ID: "A", FirstName: "Zoetemelk", Number: anna, Email: "anna@example.nl"})
			p.says(anna, "ja")
			p.says(bram, "nee")
			p.later(time.Minute)
			done, err := p.q.Erase(t.Context(), "anna@example.nl", "test") // her number is forgotten with it
			if err != nil || done.Messages != 1 || done.Inbound != 1 {
				t.Errorf("%+v, %v", done, err)
			}
			p.leavesNothingOf(anna, "Zoetemelk")
			if list := p.messages(); len(list) != 1 || !strings.Contains(list[0].Text(), bram) || p.rows() != 1 {
				t.Errorf("%d rows, %+v", p.rows(), list)
			}
		}, mailbox)
	})
	t.Run("a mail of several that still waits tells of the others all the same", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			p.mail.SetState(route.Waiting)
			for i := range 30 {
				p.says(fmt.Sprintf("+316%08d", 10_000_000+i), fmt.Sprint("antwoord ", i))
			}
			p.later(time.Minute)
			if _, err := p.q.Erase(t.Context(), "+31610000007", "test"); err != nil {
				t.Error(err)
			}
			p.later(3 * time.Second)
			p.leavesNothingOf("+31610000007", "antwoord 7\n")
			p.mail.SetState(route.Ready)
			got := p.letters()
			if len(got) != 1 || !strings.Contains(got[0], "[29 sms'jes binnengekomen]") || !strings.Contains(got[0], "antwoord 29") {
				t.Errorf("%q", got)
			}
		}, mailbox)
	})
	t.Run("a mail that a lane holds", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			p.mail.Latency(5 * time.Second)
			p.says(anna, "ja")
			p.later(2 * time.Second)
			if list := p.messages(); len(list) != 1 || list[0].State != queue.Sending {
				t.Fatalf("%+v", list)
			}
			if done, err := p.q.Erase(t.Context(), anna, "test"); err != nil || done.InFlight != 0 {
				t.Errorf("%+v, %v", done, err)
			}
			p.leavesNothingOf(anna, "ja")
		}, mailbox)
	})
	t.Run("who comes back is a customer", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			p.says(anna, "ja")
			p.later(time.Minute)
			if _, err := p.q.Erase(t.Context(), anna, "test"); err != nil {
				t.Fatal(err)
			}
			p.says(anna, "daar ben ik weer")
			p.later(time.Minute)
			if err := p.q.ForgetAgain(t.Context()); err != nil {
				t.Error(err)
			}
			if list := p.messages(); len(list) != 1 || !strings.HasPrefix(list[0].Text(), "daar ben ik weer") {
				t.Errorf("%+v", list)
			}
		}, mailbox)
	})
	t.Run("what is told to the person is theirs alone", func(t *testing.T) {
		inPost(t, func(t *testing.T, p *post) {
			p.says(anna, "ja")
			p.later(time.Minute)
			about, err := p.q.Export(anna)
			if err != nil || len(about.Inbound) != 1 || len(about.Messages) != 0 {
				t.Errorf("%+v, %v", about, err)
			}
		}, mailbox)
	})
}

// leavesNothingOf looks for words in everything that is kept.
func (p *post) leavesNothingOf(words ...string) {
	p.t.Helper()
	for _, m := range p.messages() {
		for _, w := range words {
			if strings.Contains(m.Text()+m.Subject+m.To, w) {
				p.t.Errorf("message %s still holds %q", m.ID, w)
			}
		}
	}
	err := each(p.db, forwards, func(_ *store.Tx, f *forwarded) error {
		if slices.Contains(words, strings.Join(f.From, " ")) || slices.ContainsFunc(f.From, func(n string) bool { return slices.Contains(words, n) }) {
			p.t.Errorf("a row still holds %v", f.From)
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// Whom a mail told of is forgotten when the mail is no longer kept.
func TestWhomMailsToldOfIsNotKeptLonger(t *testing.T) {
	inPost(t, func(t *testing.T, p *post) {
		p.says(anna, "ja")
		p.later(time.Minute)
		if p.rows() != 1 {
			t.Fatalf("%d rows", p.rows())
		}
		if _, err := p.q.Erase(t.Context(), mailbox, "test"); err != nil { // the mail goes; its row does not know
			t.Fatal(err)
		}
		p.later(25 * time.Hour)
		if p.rows() != 0 {
			t.Errorf("%d rows", p.rows())
		}
	}, mailbox)
}

func TestCarryingOnNeedsAWayOut(t *testing.T) {
	inBox(t, func(b *box) {
		t := b.t
		b.open()
		for to, want := range map[string]string{mailbox: "carries no e-mail", "": ""} {
			cfg := b.cfg
			cfg.Queue, cfg.DB = b.q, b.db
			if to != "" {
				cfg.ForwardInbox = []string{to}
			}
			if _, err := New(cfg); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
				t.Errorf("%q: %v", to, err)
			}
		}
	})
	inBox(t, func(b *box) {
		t := b.t
		b.openWith("email", routetest.NewFake("email"))
		cfg := b.cfg
		cfg.Queue, cfg.DB, cfg.ForwardInbox = b.q, b.db, []string{"shop"}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "ForwardInbox") {
			t.Errorf("%v", err)
		}
	})
}
