package outreach

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
)

// folder is a drop folder that is watched.
type folder struct {
	b    *box
	dir  string
	halt func()
}

func (b *box) folder() *folder {
	b.t.Helper()
	f := &folder{b: b, dir: filepath.Join(b.dir, "drop")}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	f.watch()
	return f
}

func (f *folder) watch() {
	f.b.t.Helper()
	d, err := f.b.o.OpenDrop(f.dir)
	if err != nil {
		f.b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(f.b.t.Context())
	go func() { ended <- d.Run(ctx) }()
	f.halt = func() {
		cancel()
		if err := <-ended; err != nil {
			f.b.t.Error(err)
		}
		if err := d.Close(); err != nil {
			f.b.t.Error(err)
		}
	}
}

// put writes a file as a program does that knows nothing of renaming.
func (f *folder) put(name, content string) {
	f.b.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o600); err != nil {
		f.b.t.Fatal(err)
	}
}

// has reads a file; empty: there is none.
func (f *folder) has(name string) string {
	f.b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil && !os.IsNotExist(err) {
		f.b.t.Fatal(err)
	}
	return string(raw)
}

func TestADroppedFileIsSent(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		defer f.halt()
		// The numbers as a till writes them, in Windows-1252, with a text beside.
		f.put("utskick.csv", "mobil;f\xf6rnamn;samtycke\n06-123 45 678;\xc5sa;ja\n0687654321;Bram;nej\n06 1111 2222;Cees;x\n12;Kort;ja\n")
		f.put("utskick.txt", "Hej #FÖRNAMN#!")
		b.later(3 * time.Second)
		b.wants() // it may still be written
		b.later(8 * time.Second)
		b.wants("Hej Åsa!", "Hej Cees!")
		if f.has("utskick.csv") != "" || f.has("utskick.csv.done") == "" || f.has("utskick.txt.done") == "" {
			b.t.Error("the file has not its new name")
		}
		got := f.has("utskick.csv.result")
		for _, want := range []string{"row;state;id;detail\n", `5;refused;;"to: `, "left out;;there is no consent for marketing", ";accepted;b", "2 recipients"} {
			if !strings.Contains(got, want) {
				b.t.Errorf("the result lacks %q:\n%s", want, got)
			}
		}
		if m := b.messages()[0]; m.Class != queue.Marketing || m.Till != "drop" {
			b.t.Errorf("%+v", m)
		}
	})
}

// The result of a list names every row that gets nothing, and a list of which
// nobody may be written to is not done.
func TestEveryRowOfADroppedListIsTold(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		defer f.halt()
		var some, none, people strings.Builder
		some.WriteString("mobil;samtycke\n0612345678;ja\n")
		none.WriteString("mobil;samtycke\n")
		people.WriteString("id;mobil\n")
		for i := range 45 {
			fmt.Fprintf(&some, "06876543%02d;nej\n", i)
			fmt.Fprintf(&none, "06876543%02d;nej\n", i)
		}
		some.WriteString("12;ja\n06 12345678;ja\n")
		for i := range mostErrors + 100 {
			fmt.Fprintf(&people, "%d;12\n", i)
		}
		f.put("some.csv", some.String())
		f.put("none.csv", none.String())
		f.put("contacts.csv", people.String())
		for _, name := range []string{"some", "none"} {
			f.put(name+".txt", "Rea!")
		}
		b.later(12 * time.Second)
		b.wants("Rea!")
		got := f.has("some.csv.result")
		lines := strings.Split(strings.TrimSpace(got), "\n")
		if f.has("some.csv.done") == "" || strings.Count(got, ";left out;;there is no consent for marketing") != 45 || lines[1] != "3;left out;;there is no consent for marketing" {
			b.t.Errorf("some of them:\n%s", got)
		}
		for _, want := range []string{"48;refused;;", "49;merged;;", "1 recipients, 1 merged, 45 left out, 1 refused"} {
			if !strings.Contains(got, want) {
				b.t.Errorf("the result lacks %q:\n%s", want, got)
			}
		}
		got = f.has("none.csv.result")
		if f.has("none.csv.err") == "" || strings.Count(got, ";left out;;") != 45 || !strings.Contains(got, "none of the 45 rows can be sent: 45 × there is no consent for marketing") {
			b.t.Errorf("none of them:\n%s", got)
		}
		if n := strings.Count(f.has("contacts.csv.result"), ";refused;"); n != mostErrors+100 {
			b.t.Errorf("%d contacts are told as refused", n)
		}
	})
}

// The options beside a file are those of the call.
func TestADroppedListHasTheOptionsOfTheCall(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		defer f.halt()
		f.put("a.csv", "to\n0612345678\n")
		f.put("a.json", `{"texts": {"nl": "Kort"}, "class": "transactional", "priority": 3, "max_parts": 2, "pool": "sms", "at": "2027-10-31T02:30", "fold": 2}`)
		f.put("b.csv", "to\n0612345678\n")
		f.put("b.json", `{"texts": {"nl": "Kort"}, "class": "transactional", "at": "2027-07-01T12:00", "tz": "Asia/Tokyo"}`)
		f.put("c.csv", "to\n0612345678\n")
		f.put("c.json", `{"texts": {"nl": "Kort"}, "class": "transactional", "at": "2027-07-01T12:00", "tz": "Tokyo"}`)
		b.later(12 * time.Second)
		list, _, err := b.o.Campaigns(KindBatch, "", 10)
		if err != nil || len(list) != 2 {
			b.t.Fatalf("%+v, %v", list, err)
		}
		due := map[string]Campaign{}
		for _, c := range list {
			due[c.ExternalID] = c
		}
		a := due["a.csv"]
		if a.Priority == nil || *a.Priority != 3 || a.MaxParts != 2 || a.Pool != "sms" || a.Due.UTC().Format(time.RFC3339) != "2027-10-31T01:30:00Z" {
			b.t.Errorf("%+v", a)
		}
		if at := due["b.csv"].Due.UTC().Format(time.RFC3339); at != "2027-07-01T03:00:00Z" {
			b.t.Errorf("noon in Tokyo is %s", at)
		}
		if got := f.has("c.csv.result"); f.has("c.csv.err") == "" || !strings.Contains(got, `tz: ""Tokyo"" is no time zone`) {
			b.t.Errorf("no zone: %s", got)
		}
	})
}

// One message for each row, as the simplest of all programs writes it.
func TestADroppedFileWithItsOwnTexts(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		defer f.halt()
		f.put("klaar.csv", "telefoon,bericht,ref\n0612345678,\"Uw fiets is klaar, tot straks\",o1\n0612345678,En uw jas ook,o2\n")
		b.later(10 * time.Second)
		b.wants("Uw fiets is klaar, tot straks", "En uw jas ook")
	})
}

func TestADroppedFileThatIsWrong(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		defer f.halt()
		for name, c := range map[string]struct{ content, want string }{
			"wrong.csv":         {"naam;plaats\nAnna;Utrecht\n", "no column of numbers"},
			"twice.csv":         {"mobiel;naam;Naam\n0612345678;A;B\n", "have one name"},
			"empty.csv":         {"", "no row of names"},
			"contacts.csv":      {"naam;mobiel\nAnna;0612345678\n", "no column for the number of the contact"},
			"contacts2.csv":     {"id;geboortedatum\n1;31-02-1980\n", `2;refused;;"birthday: `},
			"afspraken.csv":     {"id;klantnr;datum\nk1;9;2026-12-04 14:30\n", `2;refused;;"contact: there is no contact`},
			"afspraken-uur.csv": {"id;mobiel;datum;tijd\nk1;0612345678;25-10-2026;02:30\n", "comes twice"},
			"binary.csv":        {"a\x00b\xff", "not a table of text"},
		} {
			f.put(name, c.content)
			if strings.HasPrefix(name, "wrong") || strings.HasPrefix(name, "twice") {
				f.put(beside(name, ".txt"), "Dag")
			}
			b.later(10 * time.Second)
			if f.has(name+".err") != c.content || !strings.Contains(f.has(name+".result"), c.want) {
				b.t.Errorf("%s: %q, want %q", name, f.has(name+".result"), c.want)
			}
		}
		b.wants()
	})
}

// A nightly file of the register, then one of bookings.
func TestADroppedRegisterAndItsBookings(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		f := b.folder()
		defer f.halt()
		f.put("klanten.csv", "klantnummer;voornaam;mobiel;geboortedatum;consent;punten\n7;Bo;0687654321;29-02-2000;ja;120\n8;Cas;0611112222;;;\n")
		b.later(10 * time.Second)
		c, err := b.o.Contact("7")
		if err != nil || c.FirstName != "Bo" || c.Birthday != "2000-02-29" || c.Attrs["punten"].Text != "120" {
			b.t.Errorf("%+v, %v", c, err)
		}
		f.put("afspraken.csv", "afspraak;klantnr;datum;tijd;status\nk1;7;04-12-2026;14:30;bevestigd\nk2;8;04-12-2026;15:30;aangevraagd\n")
		b.later(10 * time.Second)
		b.wants("Bo: confirmed 04-12-2026 14:30")
		// The same file again, and one that cancels.
		f.put("afspraken.csv", "afspraak;klantnr;datum;tijd;status\nk1;7;04-12-2026;14:30;bevestigd\nk2;8;04-12-2026;15:30;geannuleerd\n")
		b.later(10 * time.Second)
		b.wants("Bo: confirmed 04-12-2026 14:30", "Cas: cancelled 04-12-2026 15:30")
	})
}

// Of two files dropped together the first by name is finished last: the second,
// which stands on it, waits.
func TestDroppedFilesAreReadInTheirOrder(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		f := b.folder()
		defer f.halt()
		f.put("zaal.csv", "mobiel;naam\n0612345678;Anna\n")
		f.put("zaal.json", `{"texts": {"nl": "Dag #NAAM#"}, "class": "transactional", "event": "concert-12", "offset": "-PT3H"}`)
		b.later(3 * time.Second)
		f.put("events.csv", "id;start;end\n")
		b.later(3 * time.Second) // the second has not changed for long enough by now
		f.put("events.csv", "id;start;end\nconcert-12;2026-11-24T20:00;2026-11-24T23:00\n")
		b.later(12 * time.Second)
		for _, name := range []string{"events.csv", "zaal.csv"} {
			if f.has(name+".done") == "" {
				b.t.Errorf("%s was not done: %s", name, f.has(name+".result"))
			}
		}
	})
}

// The power goes away between the commit and the new name: the file is not
// sent twice. The same file, written again on another day, is.
func TestADroppedFileIsSentOnce(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		f.put("x.csv", "to;text\n0612345678;een\n")
		b.later(10 * time.Second)
		f.halt()
		if err := os.Rename(filepath.Join(f.dir, "x.csv.done"), filepath.Join(f.dir, "x.csv")); err != nil {
			b.t.Fatal(err)
		}
		b.close()
		b.open()
		f.watch()
		b.later(10 * time.Second)
		b.wants("een")
		f.put("x.csv", "to;text\n0612345678;een\n")
		b.later(10 * time.Second)
		b.wants("een", "een")
		f.halt()
	})
}

func TestErasureReachesTheFilesThatWereRead(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		f := b.folder()
		f.put("x.csv", "to;text\n06-12 34 56 78;een\n")
		f.put("y.csv", "to;text\n0687654321;twee\n")
		b.later(10 * time.Second)
		f.halt()
		d, err := b.o.OpenDrop(f.dir)
		if err != nil {
			b.t.Fatal(err)
		}
		defer d.Close()
		if n, err := d.Forget(b.t.Context(), anna); err != nil || n != 1 {
			b.t.Errorf("%d files, %v", n, err)
		}
		if f.has("x.csv.done") != "" || f.has("y.csv.done") == "" {
			b.t.Error("the wrong file is gone")
		}
	})
}

// A file that was read is removed for a number however it is written in it, and
// for an e-mail address.
func TestFilesKnowWhomTheyHold(t *testing.T) {
	file := []byte("mobiel;e-mail\n06-12 34.56 78;Anna.Smit@Example.nl\n")
	for who, want := range map[string]bool{
		anna: true, "+31687654321": false, "anna.smit@example.nl": true, "bram@example.nl": false,
	} {
		if holds(file, who) != want {
			t.Errorf("%s: %t", who, !want)
		}
	}
}
